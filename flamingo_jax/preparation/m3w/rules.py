"""Why pages and pictures are dropped. The values name the rules in `yield.json`, in their order."""

from __future__ import annotations

import enum


class PageRule(enum.Enum):
    """Why a page is dropped: the first of these that holds."""

    UNREADABLE = "unreadable"
    NOT_ENGLISH = "not_english"
    BLOCKED_WORDS = "blocked_words"
    NO_IMAGE = "no_image"
    TOO_FEW_WORDS = "too_few_words"
    TOO_MANY_WORDS = "too_many_words"
    MEAN_WORD_LENGTH = "mean_word_length"
    SYMBOLS = "symbols"
    BULLET_LINES = "bullet_lines"
    ELLIPSIS_LINES = "ellipsis_lines"
    WORDS_WITHOUT_LETTERS = "words_without_letters"
    STOP_WORDS = "stop_words"
    DUPLICATE_LINES = "duplicate_lines"
    DUPLICATE_PARAGRAPHS = "duplicate_paragraphs"
    DUPLICATE_LINE_CHARACTERS = "duplicate_line_characters"
    DUPLICATE_PARAGRAPH_CHARACTERS = "duplicate_paragraph_characters"
    TOP_2_GRAM = "top_2_gram"
    TOP_3_GRAM = "top_3_gram"
    TOP_4_GRAM = "top_4_gram"
    DUPLICATE_5_GRAMS = "duplicate_5_grams"
    DUPLICATE_6_GRAMS = "duplicate_6_grams"
    DUPLICATE_7_GRAMS = "duplicate_7_grams"
    DUPLICATE_8_GRAMS = "duplicate_8_grams"
    DUPLICATE_9_GRAMS = "duplicate_9_grams"
    DUPLICATE_10_GRAMS = "duplicate_10_grams"
    SAME_ADDRESS = "same_address"
    NO_IMAGE_LEFT = "no_image_left"


class ImageRule(enum.Enum):
    """Why a picture is dropped: the first of these that holds.

    From `EMPTY_FILE` to `TRUNCATED_IMAGE` they are called as the training pipeline's reasons.
    """

    PAGE_DROPPED = "page_dropped"
    UNSAFE_NAME = "unsafe_name"
    MISSING_MEDIA = "missing_media"
    EMPTY_FILE = "empty_file"
    NOT_AN_IMAGE = "not_an_image"
    IMAGE_TOO_LARGE = "image_too_large"
    TRUNCATED_IMAGE = "truncated_image"
    TOO_SMALL = "too_small"
    ASPECT_RATIO = "aspect_ratio"
    SINGLE_COLOUR = "single_colour"
    NEAR_DUPLICATE = "near_duplicate"
