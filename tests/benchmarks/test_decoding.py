"""The comparison of decoding: our side in this process, the report, the errors. No timing."""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks import decoding, decoding_process, ours_decoding, sizes
from benchmarks.decoding import IDEFICS, OURS, Measured, Work
from benchmarks.decoding_process import BEAM, CLASSES_IN_FULL, GREEDY, NUM_CLASSES, RANK, RANK_FULL
from flamingo_jax.core.errors import UserError

TINY = sizes.SIZES["tiny"]


def test_our_side_does_the_work_that_is_counted() -> None:
    decoder = ours_decoding.Decoder(TINY, batch=2, new_tokens=3)
    assert decoder.prepare(BEAM, 1)() == 2 * 3


def test_both_ways_of_ranking_give_the_same_scores() -> None:
    decoder = ours_decoding.Decoder(TINY, batch=2, new_tokens=3)
    full = decoder.scores_in_full(1)()
    cached = decoder.scores_from_cache(1)()
    assert len(full) == CLASSES_IN_FULL and len(cached) == NUM_CLASSES
    assert np.ptp(full) > 1.0
    np.testing.assert_allclose(cached[:CLASSES_IN_FULL], full, atol=1e-4)


def test_prompts_show_a_picture_a_shot_and_the_query_s() -> None:
    few = decoding_process.prompts(TINY, 4, 2)
    assert few.latents.shape == (2, 5, TINY.latents, TINY.vision_width)
    assert few.text.shape == few.picture.shape == (2, 4 * 20 + 8)
    assert np.bincount(few.picture[0]).tolist() == [0, 20, 20, 20, 20, 8]
    none = decoding_process.prompts(TINY, 0, 2)
    assert np.bincount(none.picture[0]).tolist() == [40, 8] and none.latents.shape[1] == 1


def test_classes_are_a_thousand_names_of_which_some_begin_alike() -> None:
    names = decoding_process.classes(sizes.SIZES["M"])
    assert len(set(names)) == NUM_CLASSES
    assert {len(name) + 1 for name in names} == {2, 3, 4, 5}
    assert len({name[0] for name in names}) < NUM_CLASSES // 2


def _measured(seconds: list[float], done: int) -> Measured:
    return Measured(seconds=seconds, cpu_seconds=[2 * value for value in seconds], done=done)


def test_the_report_is_of_speeds_and_scales_the_classes_that_were_not_scored() -> None:
    table = {
        (Work(GREEDY, 4), OURS): _measured([1.0, 1.0, 1.0], 80),
        (Work(GREEDY, 4), IDEFICS): _measured([3.0, 2.0, 4.0], 80),
        (Work(RANK, 16), OURS): _measured([2.0], NUM_CLASSES),
        (Work(RANK_FULL, 16), OURS): _measured([1.6], CLASSES_IN_FULL),
        (Work(RANK_FULL, 16), IDEFICS): _measured([0.8], CLASSES_IN_FULL),
    }
    text = decoding.report(table, new_tokens=20, ranking_shots=16)
    row = "| greedy | 4 | 80.0 | 26.7 | 3.00 (2.50 to 3.50) | 3.00 | 4.00 | 1.33 |"
    assert row in text
    assert "2.00 s from one cached prompt; 100 s with every class's full prompt (ours): 50" in text
    table[Work(GREEDY, 4), IDEFICS] = _measured([3.0], 79)
    with pytest.raises(RuntimeError, match="80 tokens of ours, 79 of the peer's"):
        decoding.report(table, new_tokens=20, ranking_shots=16)


def test_a_plot_is_drawn(tmp_path: Path) -> None:
    table = {
        (Work(method, shots), name): _measured([1.0 + shots], 80)
        for method in (GREEDY, BEAM)
        for shots in (0, 4, 32)
        for name in (OURS, IDEFICS)
    }
    decoding.draw(table, 4, tmp_path / "plot.png")
    assert (tmp_path / "plot.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"torch_python": None}, "--torch-python is None"),
        ({"size": "XL"}, "'XL'"),
        ({"rounds": 0}, "--rounds is 0"),
        ({"new_tokens": 1}, "--new-tokens is 1"),
        ({"shots": [4, -1]}, "--shots"),
    ],
)
def test_a_wrong_argument_is_an_error_that_names_it(arguments: dict, words: str) -> None:
    valid = {
        "torch_python": Path(sys.executable), "size": "tiny", "rounds": 1, "threads": 1, "batch": 1,
        "new_tokens": 2, "shots": [0], "ranking_shots": 1, "stock_torch": True, "plot": None,
    }  # fmt: skip
    with pytest.raises(UserError, match=re.escape(words)):
        decoding.run(argparse.Namespace(**valid | arguments))
