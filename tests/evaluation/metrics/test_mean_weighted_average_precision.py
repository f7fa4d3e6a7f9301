"""mWAP: the value of RareAct's code, and a class worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from flamingo_jax.evaluation.metrics.mean_weighted_average_precision import (
    AnnotatedClip,
    MeanWeightedAveragePrecision,
)
from tests.evaluation.metrics import golden


def clip(video: str, verb: str, noun: str, class_id: int, annotation: int) -> AnnotatedClip:
    return AnnotatedClip(
        video=video, verb=verb, noun=noun, class_id=class_id, annotation=annotation
    )


def test_stored_value_of_rareact() -> None:
    stored = golden.load("rankings.json")["mwap"]
    clips = [
        clip(row["video_id"], row["verb"], row["noun"], row["class_id"], row["annotation"])
        for row in stored["clips"]
    ]
    precision = MeanWeightedAveragePrecision(clips, np.asarray(stored["scores"]))
    assert len(precision.classes) == 8  # The ninth has no positive clip.
    assert precision.per_class().mean() == pytest.approx(stored["value"], abs=golden.TOLERANCE)


def test_a_class_by_hand() -> None:
    clips = [
        clip("a", "cut", "phone", 0, 1),  # 0.9: right
        clip("b", "cut", "phone", 0, 0),  # 0.8: wrong
        clip("c", "cut", "phone", 0, 1),  # 0.7: right, one of two clips of its video
        clip("c", "cut", "phone", 0, 1),  # 0.6: the other
        clip("d", "wash", "phone", 1, 1),  # 0.5: a hard negative, of the other class
        clip("e", "wash", "phone", 1, 3),  # Of no concern to the first class.
    ]
    scores = np.zeros((6, 2))
    scores[:, 0] = [0.9, 0.8, 0.7, 0.6, 0.5, 1.0]
    precision = MeanWeightedAveragePrecision(clips, scores)
    # Weights 1, 1, 1/2, 1/2, 1: precision 1 at recall 1/2, 1.5/2.5 at 3/4, 2/3 at 1.
    expected = 1 / 2 * 1 + 1 / 4 * 1.5 / 2.5 + 1 / 4 * 2 / 3
    assert precision.classes[0] == ("cut", "phone")
    assert precision.per_class()[0] == pytest.approx(100 * expected)


def test_a_draw_without_positives_leaves_the_class_out() -> None:
    clips = [clip("a", "cut", "phone", 0, 1), clip("b", "wash", "pan", 1, 1)]
    precision = MeanWeightedAveragePrecision(clips, np.asarray([[1.0, 2.0], [2.0, 1.0]]))
    both, first, neither = precision.of_draws(np.asarray([[1.0, 1.0], [2.0, 0.0], [0.0, 0.0]]))
    assert both == pytest.approx(50)
    assert first == pytest.approx(100)
    assert np.isnan(neither)


def test_misuse_is_refused() -> None:
    with pytest.raises(ValueError, match="no clip is positive"):
        MeanWeightedAveragePrecision([clip("a", "cut", "phone", 0, 0)], np.zeros((1, 1)))
    with pytest.raises(ValueError, match="shape"):
        MeanWeightedAveragePrecision([clip("a", "cut", "phone", 3, 1)], np.zeros((1, 3)))
