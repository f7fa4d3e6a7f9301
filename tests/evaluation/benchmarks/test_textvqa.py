"""TextVQA, in both of its forms."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from flamingo_jax.core.errors import UserError
from flamingo_jax.evaluation.benchmarks.benchmark import Benchmark
from flamingo_jax.evaluation.benchmarks.textvqa import read_textvqa
from tests.evaluation.benchmarks import miniatures
from tests.evaluation.benchmarks.pictures_shown import by_id, check_pictures

WRITE = [miniatures.textvqa, miniatures.textvqa_in_vqa_format]


def _said(benchmark: Benchmark) -> list[tuple[str, str, str, tuple[str, ...]]]:
    return [
        (i.id, i.medium, i.question, i.answers) for i in (*benchmark.queries, *benchmark.support)
    ]


@pytest.mark.parametrize("write", WRITE)
@pytest.mark.parametrize("split", ["test", "validation"])
def test_pictures_of_both_sets_lie_in_one_folder(
    tmp_path: Path, write: Callable[[Path], Path], split: str
) -> None:
    benchmark = read_textvqa(str(write(tmp_path)), split)
    check_pictures(benchmark)
    assert all(item.medium.startswith("train_images/") for item in benchmark.queries)


@pytest.mark.parametrize("write", WRITE)
def test_val_is_asked_and_train_is_shown(tmp_path: Path, write: Callable[[Path], Path]) -> None:
    benchmark = read_textvqa(str(write(tmp_path)), "test")
    assert (benchmark.name, benchmark.split) == ("textvqa", "val")
    assert [item.id for item in benchmark.queries] == ["34602", "34603"]
    first = benchmark.queries[0]
    assert first.question == "what is the brand of this camera?"
    assert first.medium == "train_images/003a8ae2ef43b901.jpg"
    assert first.answers == ("nous", *["dakota"] * 9)
    support = by_id(benchmark.support)
    assert set(support) == {"0", "1", "2", "3", "4"}
    assert support["1"].answers[:2] == ("lape", "jet")


@pytest.mark.parametrize("split", ["test", "validation"])
def test_both_forms_say_the_same(tmp_path: Path, split: str) -> None:
    released = read_textvqa(str(miniatures.textvqa(tmp_path / "a")), split)
    converted = read_textvqa(str(miniatures.textvqa_in_vqa_format(tmp_path / "b")), split)
    assert _said(released) == _said(converted)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda data: data.append(data[0]), "data[2]: the question_id '34602' comes a second"),
        (lambda data: data[0].pop("answers"), "data[0] has no field 'answers'"),
        (lambda data: data[0].update(answers=[{"answer": "x"}]), "data[0]: an answer is of type"),
        (lambda data: data[0].update(answers=[]), "question '34602' has 0 answers"),
        (lambda data: data[0].update(image_id=None), "data[0]: image_id is None"),
        (lambda data: data.clear(), "has no questions"),
    ],
)
def test_a_broken_file_is_told_in_one_line(
    tmp_path: Path, change: Callable[[list[Any]], object], said: str
) -> None:
    folder = miniatures.textvqa(tmp_path)
    path = folder / "TextVQA_0.5.1_val.json"
    content = json.loads(path.read_text())
    change(content["data"])
    path.write_text(json.dumps(content))
    with pytest.raises(UserError) as caught:
        read_textvqa(str(folder), "test")
    assert said in str(caught.value) and "\n" not in str(caught.value)


def test_missing_files_are_told_by_both_names(tmp_path: Path) -> None:
    folder = miniatures.textvqa(tmp_path)
    (folder / "TextVQA_0.5.1_train.json").unlink()
    with pytest.raises(UserError, match="'TextVQA_0.5.1_train.json' or 'train_questions_vqa_form"):
        read_textvqa(str(folder), "test")


def test_a_picture_outside_the_folder_is_refused(tmp_path: Path) -> None:
    folder = miniatures.textvqa(tmp_path)
    path = folder / "TextVQA_0.5.1_val.json"
    path.write_text(path.read_text().replace("003a8ae2ef43b901", "../../secret"))
    benchmark = read_textvqa(str(folder), "test")
    with pytest.raises(UserError, match="unsafe_name"):
        benchmark.query_media.read(benchmark.queries[0].medium)
