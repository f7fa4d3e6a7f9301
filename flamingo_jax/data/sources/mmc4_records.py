"""Pages out of records of MMC4: which picture stands before which sentence.

MMC4 has a document's sentences, its pictures, and how alike each picture and each sentence are. As
in OpenFlamingo, pictures and sentences are matched one to one so that their similarities add up to
the most, which is not the same as sending every picture to its most similar sentence. Two faults
are not taken over: there, pictures keep the order of the record while their tags stand in the order
of the sentences, so that a page may show the wrong picture at each tag; and the order of the
pictures decides which of them fall behind the limit of a page.

OpenFlamingo's tars also hold sequences written by ChatGPT, whose text says itself where pictures
stand: `example` with marks `_!_IMAGE1_!_`, and the pictures by mark in `image_map`.
"""

from __future__ import annotations

import base64
import binascii
import dataclasses
import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from flamingo_jax.data.bad_samples import BadSample, Reason
from flamingo_jax.data.media import EncodedImage
from flamingo_jax.data.sources import json_records, page_assembly
from flamingo_jax.data.sources.source import RawExample

Record = Mapping[str, Any]
Load = Callable[[Record], bytes | None]
"""An item of `image_info` -> the bytes of its picture, None where it is missing."""

_MARK = re.compile(r"(_!_IMAGE[0-9]+_!_)")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Rules:
    """Which pictures stay.

    Attributes:
        min_similarity: least cosine of a picture and its sentence.
        min_image_bytes: least size of a picture's file.
    """

    min_similarity: float
    min_image_bytes: int


def is_generated(record: Record) -> bool:
    """Whether a record is a sequence written by ChatGPT and not a web page."""
    return "is_gpt" in record


def generated_page(record: Record, place: str) -> RawExample:
    """The page of a sequence written by ChatGPT: each mark becomes the picture of that mark.

    Args:
        record: as parsed from JSON.
        place: where it stands, for messages.

    Returns:
        The page. Marks without a picture are dropped; the rules for web pages do not apply.

    Raises:
        BadSample: a field is missing or of another type, or nothing is left of the page.
    """
    text = json_records.expect(record.get("example"), str, "example", place)
    pictures = json_records.expect(record.get("image_map"), dict, "image_map", place)
    parts: list[str | EncodedImage] = []
    for piece in _MARK.split(text):
        if not _MARK.fullmatch(piece):
            parts.append(piece)
            continue
        entry = json_records.expect(pictures.get(piece, {}), dict, f"image_map[{piece!r}]", place)
        if data := decode_base64(entry.get("base64_image")):
            parts.append(EncodedImage(data=data, name=f"{place}: {piece}"))
    in_images = json_records.text_in_images(record, place)
    return page_assembly.assemble(parts, page_assembly.BETWEEN_SENTENCES, place, in_images)


def web_page(record: Record, load: Load, rules: Rules, place: str) -> RawExample:
    """The page of a document of MMC4.

    Args:
        record: as parsed from JSON.
        load: finds the bytes of pictures.
        rules: which pictures stay.
        place: where the record stands, for messages.

    Returns:
        The page: every picture that stays before its sentence, sentences joined with spaces.

    Raises:
        BadSample: a field is missing, of another type or of another size; no picture has its bytes
            (`NO_IMAGE`), there are no sentences (`EMPTY_TEXT`), or all pictures are too unlike
            their sentences (`LOW_SIMILARITY`).
    """
    sentences = json_records.expect_list(record.get("text_list"), str, "text_list", place)
    infos = json_records.expect_list(record.get("image_info"), dict, "image_info", place)
    if not infos:
        raise BadSample(Reason.NO_IMAGE, place)
    if not sentences:
        raise BadSample(Reason.EMPTY_TEXT, place)
    similarity_IS = _similarity(record, len(infos), len(sentences), place)
    pictures = {}
    for number, info in enumerate(infos):
        data = load(info)
        if data and len(data) >= rules.min_image_bytes:
            pictures[number] = EncodedImage(data=data, name=f"{place}: image {number}")
    if not pictures:
        raise BadSample(Reason.NO_IMAGE, place, f"none of {len(infos)} pictures is there")
    numbers = list(pictures)
    picture_before = {
        sentence: pictures[numbers[row]]
        for row, sentence in match(similarity_IS[numbers])
        if similarity_IS[numbers[row], sentence] >= rules.min_similarity
    }
    if not picture_before:
        detail = f"no match of at least {rules.min_similarity:g}"
        raise BadSample(Reason.LOW_SIMILARITY, place, detail)
    parts: list[str | EncodedImage] = []
    for number, sentence in enumerate(sentences):
        if number in picture_before:
            parts.append(picture_before[number])
        parts.append(sentence)
    in_images = json_records.text_in_images(record, place)
    return page_assembly.assemble(parts, page_assembly.BETWEEN_SENTENCES, place, in_images)


def match(similarity_IS: np.ndarray) -> list[tuple[int, int]]:
    """Pairs of pictures and sentences, one to one, whose similarities add up to the most.

    Args:
        similarity_IS: of every picture (I) and every sentence (S).

    Returns:
        min(I, S) pairs (picture, sentence), sorted by picture.
    """
    # Takes half a second to load; only this source needs it.
    from scipy import optimize

    rows, columns = optimize.linear_sum_assignment(similarity_IS, maximize=True)
    return [(int(row), int(column)) for row, column in zip(rows, columns, strict=True)]


def decode_base64(text: Any) -> bytes | None:
    """The bytes that base64 stands for; None where it is missing or not base64.

    A first release of OpenFlamingo's converter wrote Python's name of the bytes, `b'/9j/...'`.
    """
    if not isinstance(text, str):
        return None
    text = "".join(text.split())
    if text[:2] in ("b'", 'b"') and text[-1:] == text[1:2]:
        text = text[2:-1]
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None


def _similarity(record: Record, num_images: int, num_sentences: int, place: str) -> np.ndarray:
    """Float64 [I, S] out of `similarity_matrix`, whose size must be that of the page."""
    try:
        matrix = np.array(record.get("similarity_matrix"), np.float64)
    except (ValueError, TypeError, OverflowError) as error:
        detail = f"similarity_matrix is no matrix of numbers: {error}"
        raise BadSample(Reason.BROKEN_RECORD, place, detail) from error
    expected = (num_images, num_sentences)
    if matrix.shape != expected:
        detail = f"similarity_matrix has shape {matrix.shape}: expected {expected}"
        raise BadSample(Reason.BROKEN_RECORD, place, detail)
    if not np.isfinite(matrix).all():
        raise BadSample(Reason.BROKEN_RECORD, place, "similarity_matrix has a value not finite")
    return matrix
