"""Tokens as HTML: coloured by the picture that each may see, underlined where there is a loss."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping

import numpy as np

from flamingo_jax.data import schema
from flamingo_jax.data.vocabulary import Vocabulary

_SPACE = "▁"  # How SentencePiece writes a space.
_BYTE = re.compile(r"<0x([0-9A-F]{2})>")
_CONTROL_NAMES = {
    schema.PAD_ID: "<PAD>",
    schema.EOS_ID: "<EOS>",
    schema.UNKNOWN_ID: "<UNK>",
    schema.BOS_ID: "<BOS>",
}
_UNKNOWN_CHARACTER = "\N{REPLACEMENT CHARACTER}"


def num_tokens(text_T: np.ndarray) -> int:
    """Tokens before the padding."""
    places = np.flatnonzero(text_T != schema.PAD_ID)
    return int(places[-1]) + 1 if len(places) else 0


def to_html(row: Mapping[str, np.ndarray], vocabulary: Vocabulary) -> str:
    """The tokens of a row, a `<span>` each.

    Tokens that are single bytes of one character are one span.

    Args:
        row: `text`, and what there is of `media_index`, `loss_weight` and `segment`.
        vocabulary: of the token ids.

    Returns:
        HTML in which everything that comes from data is escaped.
    """
    text_T = row[schema.TEXT]
    spans = []
    place, end = 0, num_tokens(text_T)
    while place < end:
        following = _end_of_bytes(row, place, end, vocabulary)
        spans.append(_segment_mark(row, place))
        spans.append(_picture_mark(row, place))
        spans.append(_span(row, place, following, vocabulary))
        place = following
    return "".join(spans)


def _end_of_bytes(
    row: Mapping[str, np.ndarray], place: int, end: int, vocabulary: Vocabulary
) -> int:
    """Where the tokens end that are shown together with the one at `place`."""
    text_T = row[schema.TEXT]

    def is_byte(at: int) -> bool:
        return _BYTE.fullmatch(vocabulary.piece(int(text_T[at]))) is not None

    def key(at: int) -> tuple[float, ...]:
        return tuple(
            float(row[name][at])
            for name in (schema.MEDIA_INDEX, schema.LOSS_WEIGHT, schema.SEGMENT)
            if name in row
        )

    following = place + 1
    if is_byte(place):
        while following < end and is_byte(following) and key(following) == key(place):
            following += 1
    return following


def _segment_mark(row: Mapping[str, np.ndarray], place: int) -> str:
    """Announces the first token of a document where a row holds several."""
    if schema.SEGMENT not in row:
        return ""
    segment_T = row[schema.SEGMENT]
    if place and segment_T[place] == segment_T[place - 1]:
        return ""
    return f'<span class="segment">document {int(segment_T[place])}</span>'


def _picture_mark(row: Mapping[str, np.ndarray], place: int) -> str:
    """The number of the picture to see from here on, for colours alone are hard to tell apart."""
    if schema.MEDIA_INDEX not in row:
        return ""
    phi_T = row[schema.MEDIA_INDEX]
    if place and phi_T[place] == phi_T[place - 1]:
        return ""
    number = int(phi_T[place])
    return f'<span class="sees picture-{number}">{number or "none"}</span>'


def _span(row: Mapping[str, np.ndarray], place: int, following: int, vocabulary: Vocabulary) -> str:
    tokens = [int(token) for token in row[schema.TEXT][place:following]]
    names = " ".join(_CONTROL_NAMES.get(token) or vocabulary.piece(token) for token in tokens)
    classes = ["token"]
    told = [f"{' '.join(map(str, tokens))} {names}"]
    if schema.MEDIA_INDEX in row:
        phi = int(row[schema.MEDIA_INDEX][place])
        classes.append(f"picture-{phi}")
        told.append(f"sees picture {phi}" if phi else "sees no picture")
    if schema.LOSS_WEIGHT in row:
        weight = float(row[schema.LOSS_WEIGHT][place])
        classes.append("scored" if weight else "unscored")
        told.append(f"loss weight {weight:g}" if weight else "no loss")
    if tokens[0] in (*_CONTROL_NAMES, vocabulary.end_of_chunk_id):
        classes.append("control")
        shown = html.escape(names)
    else:
        shown = _shown(tokens, vocabulary)
    title = html.escape(visible(" · ".join(told)), quote=True)
    return f'<span class="{" ".join(classes)}" title="{title}">{shown}</span>'


def _shown(tokens: list[int], vocabulary: Vocabulary) -> str:
    """What is to be read of tokens that are shown together."""
    pieces = [vocabulary.piece(token) for token in tokens]
    if codes := _BYTE.findall("".join(pieces)):
        text = bytes.fromhex("".join(codes)).decode("utf-8", "replace")
        if _UNKNOWN_CHARACTER in text:
            return f'<span class="bytes">{" ".join(codes)}</span>'
    else:
        text = pieces[0].replace(_SPACE, " ")
    return html.escape(visible(text)).replace("\n", '<span class="break">⏎</span>\n')


def visible(text: str) -> str:
    """A text in which characters that one cannot see, or that turn others around, are spelled."""
    return "".join(
        character if character.isprintable() or character == "\n" else f"⟨U+{ord(character):04X}⟩"
        for character in text
    )
