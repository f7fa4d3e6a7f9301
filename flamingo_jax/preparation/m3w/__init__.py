"""Web pages of text and pictures, filtered as the paper filters M3W."""
