"""Lengths of prompts against the prompts themselves, and what is not asked because of them."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from flamingo_jax.config_evaluation import BenchmarkEvaluationConfig
from flamingo_jax.data import vocabulary
from flamingo_jax.evaluation import results
from flamingo_jax.evaluation.benchmark_questions import Questions, Way
from flamingo_jax.evaluation.benchmark_task import TASKS
from flamingo_jax.evaluation.benchmarks.catalog import open_benchmark
from flamingo_jax.evaluation.prompt_lengths import PromptLengths
from flamingo_jax.tables.render import write_table
from tests.evaluation import paper_benchmarks
from tests.evaluation.test_benchmark_runner import (  # noqa: F401
    MODEL,
    Eye,
    _oracle,
    config,
    evaluate,
)

WORLD = vocabulary.load("world")


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return paper_benchmarks.write(tmp_path_factory.mktemp("benchmarks"))


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2) as executor:
        yield executor


@pytest.mark.parametrize(
    ("name", "shots", "selection"),
    [
        ("visdial", 0, "none"), ("visdial", 2, "random"), ("visdial", 2, "rices"),
        ("vqav2", 0, "none"), ("vqav2", 2, "random"), ("imagenet", 0, "none"),
        ("hateful_memes", 3, "random"), ("rareact", 0, "none"),
    ],
)  # fmt: skip
def test_lengths_are_those_of_the_prompts(
    data_dir: Path, tmp_path: Path, threads: ThreadPoolExecutor, name: str, shots: int,
    selection: str,
) -> None:  # fmt: skip
    asked = BenchmarkEvaluationConfig(tasks=(name,), num_frames=2)
    encoder: Any = Eye()
    questions = Questions(
        open_benchmark(name, str(data_dir), "test"), TASKS[name], asked, MODEL, encoder, threads,
        tmp_path,
    )  # fmt: skip
    way = Way(shots=shots, selection=selection, seed=1, images="real")
    lengths = PromptLengths(questions, WORLD)
    for count in (1, len(questions.queries)):
        batch = questions.batch(range(count), way)
        longest = max(len(query.prompts[0].text) for query in batch.asked)
        assert lengths.longest_above(longest, way, count) == 0
        assert lengths.longest_above(longest - 1, way, count) == longest


def test_too_many_shots_are_left_out_and_it_is_said(
    data_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def ask(limit: int, *shots: int) -> set[tuple[str, int, str]]:
        asked = config(
            data_dir, tasks=("vqav2", "coco"), shots=shots, max_prompt_length=limit, seeds=2
        )
        return {(found.task, found.shots, found.images) for found in evaluate(asked, tmp_path)}

    images = ("real", "zeroed", "swapped")
    # Only prompts of questions are longer than the limit, with three shots, and of the first seed:
    # a mean over the other one would be of other shots.
    assert ask(93, 0, 3) == {
        *(("vqav2", 0, shown) for shown in images),
        *(("coco", shots, shown) for shots in (0, 3) for shown in images),
    }
    (note,) = results.read_left_out(tmp_path / "results.jsonl")
    assert (note.task, note.split, note.shots, note.selection) == ("vqav2", "val", 3, "random")
    assert note.reason == "prompts have up to 95 tokens, config.max_prompt_length is 93"
    said = capsys.readouterr().out.splitlines()
    assert said[0] == f"note: vqav2, 3 shots: left out: {note.reason}"
    assert not list((tmp_path / "predictions").glob("vqav2-3-*"))
    table = _table(tmp_path)
    row = next(line for line in table.splitlines() if line.startswith("| Vqav2 "))
    assert row.split("|")[5].strip() == "left out"
    assert f"- vqav2, 3 shots, random (val split): {note.reason}\n" in table

    # With more room it is asked, and the note is gone; with less again, the numbers stay.
    found = ask(0, 3)
    assert ("vqav2", 3, "real") in found
    assert results.read_left_out(tmp_path / "results.jsonl") == []
    assert "left out" not in _table(tmp_path).lower()
    predictions = (tmp_path / "predictions" / "vqav2-3-0.jsonl").read_bytes()
    assert ask(93, 3) == found
    assert (tmp_path / "predictions" / "vqav2-3-0.jsonl").read_bytes() == predictions
    assert "| left out |" not in _table(tmp_path)
    assert "## Left out" in _table(tmp_path)


def _table(folder: Path) -> str:
    write_table(folder / "results.jsonl", folder / "table.md")
    return (folder / "table.md").read_text()
