"""The comparison of training steps: our side in this process, the report, the errors. No timing."""

from __future__ import annotations

import argparse
import math
import re
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import arithmetic, live_process, ours, sizes, train_step
from benchmarks.peers.unlocked_mkl import compile_library
from configs import quickstart
from flamingo_jax.config import resolve
from flamingo_jax.core.errors import UserError
from flamingo_jax.core.paths import flatten
from flamingo_jax.models import build
from flamingo_jax.training.stages import make_stage

TINY = sizes.SIZES["tiny"]


def test_one_step_of_ours_has_the_loss_of_chance_and_trains_what_the_library_trains(
    tmp_path: Path,
) -> None:
    step, counts = ours.make_step(TINY)
    # Weights of standard deviation 0.02 give all 32 tokens and <EOC> about equal odds.
    assert step() == pytest.approx(math.log(TINY.vocabulary + 1), rel=0.05)
    assert counts["trainable"] > counts["frozen"] > 0
    _, state, _ = ours.jitted_step(TINY)
    is_trainable = make_stage(resolve(quickstart.get_config("flamingo")), tmp_path).is_trainable
    together = build.build_flamingo(ours.model_config(TINY)).stacks.path_together
    assert all(is_trainable(together(path)) for path in flatten(state.trainable))
    assert not any(is_trainable(together(path)) for path in flatten(state.frozen))


def test_operations_are_those_counted_by_hand_in_the_dominant_products() -> None:
    # S of the peers: XLA counted 127 GFLOP for the step, elementwise work included, and M 603.
    assert arithmetic.peers(sizes.SIZES["S"]) == pytest.approx(122e9, rel=0.02)
    assert arithmetic.peers(sizes.SIZES["M"]) == pytest.approx(590e9, rel=0.02)
    product = arithmetic.Product(2, 3, 5, gradients=2, times=7)
    assert product.flops == 2 * 2 * 3 * 5 * 3 * 7


def test_every_token_sees_a_picture_and_pictures_come_in_order() -> None:
    phi = TINY.picture_of_token()
    assert phi[0] == 1 and phi[-1] == TINY.images and phi == sorted(phi)


def measured(seconds: list[float], peak: int) -> train_step.Measured:
    return train_step.Measured(
        seconds=seconds,
        cpu_seconds=seconds,
        losses=(9.0, 8.9),
        peak_bytes=peak,
        matmul=[1e11],
        parameters=(10, 20),
    )


def test_the_report_pairs_each_peer_with_the_one_of_ours_that_does_the_same_work() -> None:
    assert set(train_step.competitors(sizes.SIZES["S"])) == {
        train_step.OURS, train_step.OURS_AS_IDEFICS, train_step.OPEN_FLAMINGO, train_step.IDEFICS,
    }  # fmt: skip
    assert train_step.OURS_AS_IDEFICS not in train_step.competitors(sizes.SIZES["M"])
    text = train_step.report(
        "S",
        {
            train_step.OURS: measured([3.0, 3.0, 30.0], 100),
            train_step.OURS_AS_IDEFICS: measured([2.0, 1.0, 2.0], 90),
            train_step.OPEN_FLAMINGO: measured([5.0, 6.0, 5.0], 200),
            train_step.IDEFICS: measured([4.0, 4.0, 4.0], 180),
        },
    )
    # The fastest peer is IDEFICS; 0.5 is the median of 2/4, 1/4, 2/4.
    assert re.search(r"fastest peer \(Hugging Face IDEFICS\), ours takes 0\.500 of", text)
    assert "0.500 of its peak memory" in text


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"torch_python": None}, "--torch-python is None"),
        ({"torch_python": Path("/nowhere/python")}, "/nowhere/python"),
        ({"sizes": "S,XL"}, "'XL'"),
        ({"rounds": 0}, "--rounds is 0"),
    ],
)
def test_a_wrong_argument_is_an_error_that_names_it(arguments: dict, words: str) -> None:
    valid = {
        "torch_python": Path(sys.executable), "sizes": "tiny", "rounds": 1, "threads": 1,
        "stock_torch": True,
    }  # fmt: skip
    with pytest.raises(UserError, match=re.escape(words)):
        train_step.run(argparse.Namespace(**valid | arguments))


def test_a_live_process_answers_orders_and_a_dead_one_shows_its_last_words(tmp_path: Path) -> None:
    program = (
        "from benchmarks.live_process import serve\n"
        "serve(lambda: print('noise') or 2.5, lambda *shape: lambda: None, {'trainable': 1})"
    )
    process = live_process.LiveProcess([sys.executable, "-c", program], {}, tmp_path / "log")
    assert process.description == {"trainable": 1, "loss": 2.5}
    assert process.order(live_process.STEP)["loss"] == 2.5
    assert process.order(live_process.MEMORY)["peak_bytes"] > 1_000_000
    process.close()
    assert process.process.returncode == 0
    with pytest.raises(RuntimeError, match="no such luck"):
        live_process.LiveProcess(
            [sys.executable, "-c", "raise SystemExit('no such luck')"], {}, tmp_path / "log"
        )


def test_the_library_that_unlocks_mkl_has_its_two_functions(tmp_path: Path) -> None:
    library = compile_library(tmp_path)
    program = (
        "import ctypes, sys; library = ctypes.CDLL(sys.argv[1]);"
        "print(library.mkl_serv_intel_cpu_true(), library.mkl_serv_intel_cpu())"
    )
    result = subprocess.run(
        [sys.executable, "-c", program, str(library)], capture_output=True, text=True, check=True
    )
    assert result.stdout.split() == ["1", "1"]
