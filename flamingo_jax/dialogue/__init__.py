"""Talking to a trained Flamingo: conversations, their prompts, answers, terminal and page."""
