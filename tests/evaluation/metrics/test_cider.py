"""CIDEr-D: values of coco-caption, hand-worked cases, invariants, and a dense re-computation."""

from __future__ import annotations

import functools
import math

import numpy as np
import pytest

from flamingo_jax.evaluation.metrics.cider import cider
from flamingo_jax.evaluation.metrics.penn_treebank import tokenize
from tests.evaluation.metrics import golden

CANDIDATES = [
    "a red seven on a green ground",
    "two blue digits",
    "a a a a three",
    "nothing like it at all",
    "",
]
REFERENCES = [
    ["a red seven on a green ground", "a seven, red, on green"],
    ["two blue digits on white", "two blue digits", "the digits 4 and 5 in blue"],
    ["a black three", "three on a blue ground"],
    ["a yellow nine on a blue ground"],
    ["an empty grey picture"],
]
# Output of pycocoevalcap 1.2 (Stanford's tokenizer in Java, Cider) times 100.
COCO_CAPTION_POINTS = [611.2771431873756, 436.455654309268, 129.62858980073352, 0.0, 0.0]


@functools.cache
def grams(text: str, n: int) -> list[str]:
    words = tokenize(text)
    return ["_".join(words[i : i + n]) for i in range(len(words) - n + 1)]


def dense_cider(candidates: list[str], references: list[list[str]]) -> np.ndarray:
    """CIDEr-D written from the paper's formulas on dense vectors, one n at a time."""
    scores = np.zeros(len(references))
    texts = [*candidates, *(text for item in references for text in item)]
    for n in (1, 2, 3, 4):
        vocabulary = sorted({gram for text in texts for gram in grams(text, n)})
        counts = {
            text: np.array([grams(text, n).count(gram) for gram in vocabulary]) for text in texts
        }
        frequency = np.zeros(len(vocabulary))
        for item in references:
            frequency += sum(counts[text] for text in item) > 0
        idf = np.log(len(references) / np.maximum(frequency, 1))
        for index, (candidate, item) in enumerate(zip(candidates, references, strict=True)):
            for text in item:
                c, r = counts[candidate] * idf, counts[text] * idf
                norm = np.linalg.norm(c) * np.linalg.norm(r)
                if norm > 0:
                    difference = len(grams(candidate, 2)) - len(grams(text, 2))
                    penalty = np.exp(-(difference**2) / (2 * 6.0**2))
                    scores[index] += penalty * (np.minimum(c, r) @ r) / norm / len(item)
    return 1000 * scores / 4


def test_matches_dense_recomputation() -> None:
    np.testing.assert_allclose(
        cider(CANDIDATES, REFERENCES), dense_cider(CANDIDATES, REFERENCES), rtol=1e-12, atol=1e-9
    )


def test_matches_dense_recomputation_on_random_corpora() -> None:
    rng = np.random.default_rng(0)
    words = ["a", "red", "blue", "seven", "three", "and", "on", "ground"]

    def sentence() -> str:
        return " ".join(rng.choice(words, size=rng.integers(0, 12)))

    for _ in range(3):
        references = [[sentence() for _ in range(rng.integers(1, 5))] for _ in range(12)]
        candidates = [sentence() for _ in range(12)]
        np.testing.assert_allclose(
            cider(candidates, references), dense_cider(candidates, references), atol=1e-9
        )


def test_values_of_coco_caption() -> None:
    np.testing.assert_allclose(cider(CANDIDATES, REFERENCES), COCO_CAPTION_POINTS, rtol=1e-9)


def test_stored_values_of_coco_caption() -> None:
    stored = golden.load("captions.json")
    found = cider(stored["predictions"], stored["references"])
    expected = 100 * np.asarray(stored["cider_per_item"])
    np.testing.assert_allclose(found, expected, atol=golden.TOLERANCE)
    assert found.mean() == pytest.approx(100 * stored["cider"], abs=golden.TOLERANCE)
    assert 100 < found.mean() < 300, "the cases are neither all right nor all wrong"


def test_copies_of_distinct_references_score_ten() -> None:
    captions = ["one two three four five", "six seven eight nine ten", "red blue green black grey"]
    np.testing.assert_allclose(cider(captions, [[text] for text in captions]), 1000.0)


def test_disjoint_words_score_zero() -> None:
    references = [["one two three four"], ["five six seven eight"]]
    assert cider(["red blue green black"] * 2, references).tolist() == [0.0, 0.0]


def test_short_copies_lack_the_longer_ngrams() -> None:
    # Two words: full marks for n = 1 and 2, nothing for 3 and 4.
    np.testing.assert_allclose(cider(["red seven", "x"], [["red seven"], ["y"]])[0], 500.0)


def test_words_of_all_items_weigh_nothing() -> None:
    assert cider(["a red seven now"], [["a red seven now"]]).tolist() == [0.0]
    same = ["the same old words"] * 3
    assert cider(same, [[text] for text in same]).tolist() == [0.0] * 3
    # "a" is in every item; "b" is not: only "b" counts, so "a a b" and "b" agree for n = 1.
    with_a = cider(["a b", "c"], [["a b"], ["a c"]])
    assert with_a[0] == pytest.approx(1000 * 2 / 4)


def test_document_frequency_counts_items_not_references() -> None:
    # "x" is in three references, but of one item: its weight is log 2, as with one reference.
    # Candidate "x y" against "x" (three times): cosine 1/sqrt 2 if x and y weigh the same.
    scores = cider(["x y", "z"], [["x", "x", "x"], ["z"]])
    # Lengths in word pairs: 1 against 0.
    assert scores[0] == pytest.approx(1000 / 4 / math.sqrt(2) * math.exp(-1 / 72))


def test_repeating_a_word_is_clipped() -> None:
    # n = 1 only: min(5, 1) * 1 / (5 * 1) = 1/5; lengths 4 and 0 pairs.
    scores = cider(["x x x x x", "z"], [["x"], ["z"]])
    assert scores[0] == pytest.approx(1000 / 4 / 5 * math.exp(-(4**2) / 72))


def test_order_of_items_does_not_matter() -> None:
    order = [3, 1, 4, 0, 2]
    shuffled = cider([CANDIDATES[i] for i in order], [REFERENCES[i] for i in order])
    np.testing.assert_allclose(shuffled, cider(CANDIDATES, REFERENCES)[order])


def test_case_and_punctuation_do_not_matter() -> None:
    loud = [text.upper() + "!" if text else "" for text in CANDIDATES]
    np.testing.assert_allclose(cider(loud, REFERENCES), cider(CANDIDATES, REFERENCES))


def test_misuse_is_refused() -> None:
    with pytest.raises(TypeError, match="item 0"):
        cider(["a"], ["a"])
    with pytest.raises(ValueError, match="no items"):
        cider([], [])
