"""Records of MMC4 to pages: matching, thresholds, base64, sequences written by ChatGPT."""

from __future__ import annotations

import base64
import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from flamingo_jax.data.bad_samples import BadSample, Reason
from flamingo_jax.data.sources import mmc4_records
from flamingo_jax.data.sources.mmc4_records import Rules
from flamingo_jax.data.sources.source import RawExample
from tests.data.sources.page_datasets import pictures


def _record(sentences: Sequence[str], similarity: Any, data: Sequence[bytes | None]) -> Any:
    return {
        "text_list": list(sentences),
        "image_info": [{"data": item} for item in data],
        "similarity_matrix": similarity,
    }


def _page(record: Any, min_similarity: float = 0.24, min_image_bytes: int = 0) -> RawExample:
    rules = Rules(min_similarity=min_similarity, min_image_bytes=min_image_bytes)
    return mmc4_records.web_page(record, lambda info: info["data"], rules, "place")


def _best_by_trying(similarity: np.ndarray) -> dict[int, int]:
    """{sentence: picture} of the largest sum, by trying every one-to-one assignment."""
    num_images, num_sentences = similarity.shape
    size = min(num_images, num_sentences)
    best, best_sum = {}, -np.inf
    for images in itertools.combinations(range(num_images), size):
        for sentences in itertools.permutations(range(num_sentences), size):
            pairs = dict(zip(sentences, images, strict=True))
            total = sum(similarity[image, sentence] for sentence, image in pairs.items())
            if total > best_sum:
                best, best_sum = pairs, total
    return best


def _expected(
    sentences: Sequence[str], similarity: np.ndarray, data: Sequence[bytes | None], least: float
) -> tuple[list[str], list[bytes]] | None:
    """Chunks and pictures of a page, in another way than the code: through marked-up text."""
    alive = [number for number, item in enumerate(data) if item]
    pairs = _best_by_trying(similarity[alive]) if alive else {}
    text, shown = "", []
    for number, sentence in enumerate(sentences):
        row = alive[pairs[number]] if number in pairs else None
        if row is not None and similarity[row, number] >= least:
            text += "#"
            shown.append(data[row])
        text += f"{sentence} "
    return ([chunk.strip() for chunk in text.split("#")], shown) if shown else None


@pytest.mark.parametrize("seed", range(60))
def test_pages_agree_with_trying_every_assignment(seed: int) -> None:
    random = np.random.default_rng(seed)
    num_images, num_sentences = random.integers(1, 5), random.integers(1, 6)
    similarity = random.uniform(0.1, 0.4, (num_images, num_sentences))
    sentences = [f"s{number}" for number in range(num_sentences)]
    data = [None if random.random() < 0.2 else b"%d" % n for n in range(num_images)]
    record = _record(sentences, similarity.tolist(), data)
    expected = _expected(sentences, similarity, data, 0.24)
    if expected is None:
        with pytest.raises(BadSample) as caught:
            _page(record)
        is_there = any(data)
        assert caught.value.reason is (Reason.LOW_SIMILARITY if is_there else Reason.NO_IMAGE)
        return
    page = _page(record)
    assert (list(page.chunks), pictures(page)) == expected


def test_some_of_these_pages_differ_from_the_most_similar_sentence() -> None:
    """Otherwise the test above would not tell one-to-one matching from arg-max."""
    num_differing = 0
    for seed in range(60):
        random = np.random.default_rng(seed)
        similarity = random.uniform(0.1, 0.4, (random.integers(1, 5), random.integers(1, 6)))
        pairs = _best_by_trying(similarity)
        by_image = {image: sentence for sentence, image in pairs.items()}
        most_similar = dict(enumerate(similarity.argmax(1).tolist()))
        num_differing += by_image != most_similar
    assert num_differing > 20


def test_one_to_one_and_not_the_most_similar_sentence() -> None:
    # Both pictures are most like sentence 1; greedily, picture 0 would take it.
    similarity = [[0.30, 0.35], [0.10, 0.34]]
    page = _page(_record(["zero", "one"], similarity, [b"a", b"b"]))
    assert page.chunks == ("", "zero", "one")
    assert pictures(page) == [b"a", b"b"]


def test_pictures_stand_in_the_order_of_their_sentences() -> None:
    similarity = [[0.1, 0.1, 0.4], [0.1, 0.1, 0.1], [0.4, 0.1, 0.1]]
    page = _page(_record(["zero", "one", "two"], similarity, [b"a", b"b", b"c"]))
    assert page.chunks == ("", "zero one", "two")
    assert pictures(page) == [b"c", b"a"]


def test_more_pictures_than_sentences() -> None:
    similarity = [[0.25], [0.31], [0.30]]
    page = _page(_record(["zero"], similarity, [b"a", b"b", b"c"]))
    assert page.chunks == ("", "zero")
    assert pictures(page) == [b"b"]


def test_missing_and_small_pictures_leave_their_sentence_to_others() -> None:
    similarity = [[0.1, 0.40], [0.1, 0.39], [0.1, 0.38]]
    record = _record(["zero", "one"], similarity, [None, b"x" * 9, b"y" * 10])
    assert pictures(_page(record, min_image_bytes=10)) == [b"y" * 10]
    assert pictures(_page(record)) == [b"x" * 9]


def test_the_threshold_itself_is_enough() -> None:
    record = _record(["zero"], [[0.24]], [b"a"])
    assert len(_page(record).media) == 1
    with pytest.raises(BadSample) as caught:
        _page(record, min_similarity=0.2401)
    assert caught.value.reason is Reason.LOW_SIMILARITY


def test_a_picture_before_an_empty_last_sentence_is_dropped() -> None:
    similarity = [[0.4, 0.1], [0.1, 0.4]]
    page = _page(_record(["zero", " "], similarity, [b"a", b"b"]))
    assert page.chunks == ("", "zero")
    assert pictures(page) == [b"a"]


GOOD = _record(["zero", "one"], [[0.3, 0.2]], [b"a"])


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"similarity_matrix": [[0.3]]}, Reason.BROKEN_RECORD),
        ({"similarity_matrix": [[0.3], [0.2]]}, Reason.BROKEN_RECORD),
        ({"similarity_matrix": [0.3, 0.2]}, Reason.BROKEN_RECORD),
        ({"similarity_matrix": [[0.3, 0.2], [0.3, 0.2]]}, Reason.BROKEN_RECORD),
        ({"similarity_matrix": [[0.3, 0.2], [0.3]]}, Reason.BROKEN_RECORD),
        ({"similarity_matrix": [[0.3, float("nan")]]}, Reason.BROKEN_RECORD),
        ({"similarity_matrix": [[0.3, None]]}, Reason.BROKEN_RECORD),
        ({"similarity_matrix": [[0.3, "high"]]}, Reason.BROKEN_RECORD),
        ({"similarity_matrix": [[0.3, 10**400]]}, Reason.BROKEN_RECORD),
        ({"similarity_matrix": None}, Reason.BROKEN_RECORD),
        ({"text_list": ["zero", 1]}, Reason.BROKEN_RECORD),
        ({"text_list": None}, Reason.BROKEN_RECORD),
        ({"image_info": [None]}, Reason.BROKEN_RECORD),
        ({"text_in_images": "yes"}, Reason.BROKEN_RECORD),
        ({"image_info": [], "similarity_matrix": []}, Reason.NO_IMAGE),
        ({"text_list": [], "similarity_matrix": [[]]}, Reason.EMPTY_TEXT),
        ({"text_list": ["", " "]}, Reason.NO_TEXT_AFTER_IMAGE),
        ({"image_info": [{"data": None}]}, Reason.NO_IMAGE),
        ({"similarity_matrix": [[0.2, 0.1]]}, Reason.LOW_SIMILARITY),
    ],
)
def test_what_is_refused(change: Mapping[str, Any], expected: Reason) -> None:
    assert len(_page(GOOD).media) == 1
    with pytest.raises(BadSample) as caught:
        _page({**GOOD, **change})
    assert caught.value.reason is expected
    assert caught.value.name == "place"


def _encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


# Its base64 has +, / and padding.
PICTURE = b"\xff\xd8\xff\xe0\x00\x10JFIF\xfb\xef\xbe\xff\x00"


def test_base64() -> None:
    text = _encoded(PICTURE)
    assert mmc4_records.decode_base64(text) == PICTURE
    assert mmc4_records.decode_base64(f"{text[:8]}\n{text[8:]}\n") == PICTURE
    # `str(bytes)` instead of `bytes.decode()`, as a first release of the converter wrote.
    assert mmc4_records.decode_base64(str(text.encode())) == PICTURE
    for broken in (None, 3, {}, text[:-1], f"{text[:6]}*{text[6:]}", "b'", "é", "a"):
        assert not mmc4_records.decode_base64(broken)


def _generated(text: str, marks: Mapping[str, str | None]) -> RawExample:
    record = {
        "is_gpt": True,
        "example": text,
        "image_map": {mark: {"base64_image": data} for mark, data in marks.items()},
    }
    assert mmc4_records.is_generated(record)
    return mmc4_records.generated_page(record, "place")


def test_marks_become_their_own_pictures_in_any_order() -> None:
    marks = {f"_!_IMAGE{k}_!_": _encoded(b"%d" % k) for k in (3, 1, 2, 10, 7)}
    text = "Look: _!_IMAGE2_!_ two, _!_IMAGE10_!__!_IMAGE1_!_\nten and one. _!_IMAGE3_!_"
    page = _generated(text, marks)
    assert page.chunks == ("Look:", "two,", "", "ten and one.")
    assert pictures(page) == [b"2", b"10", b"1"]


def test_marks_without_a_picture_are_dropped() -> None:
    marks = {"_!_IMAGE1_!_": _encoded(b"1"), "_!_IMAGE2_!_": "broken*", "_!_IMAGE3_!_": None}
    text = "a _!_IMAGE2_!_ b _!_IMAGE1_!_ c _!_IMAGE3_!_ d _!_IMAGE4_!_ e"
    page = _generated(text, marks)
    assert page.chunks == ("a b", "c d e")
    assert pictures(page) == [b"1"]
    with pytest.raises(BadSample) as caught:
        _generated("a _!_IMAGE2_!_ b", marks)
    assert caught.value.reason is Reason.NO_IMAGE


@pytest.mark.parametrize(
    "record",
    [
        {"is_gpt": True, "image_map": {}},
        {"is_gpt": True, "example": "a"},
        {"is_gpt": True, "example": "_!_IMAGE1_!_ a", "image_map": {"_!_IMAGE1_!_": "abcd"}},
    ],
)
def test_broken_sequences(record: Any) -> None:
    with pytest.raises(BadSample) as caught:
        mmc4_records.generated_page(record, "place")
    assert caught.value.reason is Reason.BROKEN_RECORD


def test_the_record_says_whether_pictures_show_text() -> None:
    assert not _page(GOOD).text_in_images
    assert _page({**GOOD, "text_in_images": True}).text_in_images
