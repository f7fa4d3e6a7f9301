"""The contrastive tasks end to end, on miniatures of the benchmarks' own files."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

from flamingo_jax.core.errors import UserError
from flamingo_jax.data.ops.decode import decode
from flamingo_jax.evaluation import two_tower_predictions
from flamingo_jax.evaluation.benchmarks.catalog import open_benchmark
from flamingo_jax.evaluation.class_templates import (
    TEMPLATES_FOLDER,
    class_texts,
    read_templates,
)
from flamingo_jax.evaluation.results import Result
from flamingo_jax.evaluation.two_tower_files import evaluate_two_tower_files
from flamingo_jax.evaluation.two_tower_tasks import TASKS, open_tasks
from tests.evaluation import two_towers
from tests.evaluation.benchmarks import miniature_clips, miniatures
from tests.evaluation.two_towers import IMAGE_SIZE, embed_alone, knowing_model, random_model

NUM_FRAMES = 4
MINIATURES: dict[str, Callable[[Path], Path]] = {
    **miniatures.MINIATURES,
    **miniature_clips.MINIATURES,
}


def _evaluate(
    name: str, model: Any, data_dir: Path, split: str = "test", **more: Any
) -> list[Result]:
    tasks = open_tasks([name], str(data_dir), split=split, **more)
    return list(
        evaluate_two_tower_files(
            tasks, model, folder=Path(tempfile.mkdtemp(dir=data_dir)), image_size=IMAGE_SIZE,
            config_hash="0" * 12, num_frames=NUM_FRAMES, reader_threads=2,
        )
    )  # fmt: skip


def _values(found: Iterable[Result], images: str) -> dict[str, float]:
    return {result.metric: result.value for result in found if result.images == images}


def _model_that_knows(benchmark_name: str, data_dir: Path) -> Any:
    """Towers that know what each picture of a miniature shows and each text says."""
    queries = open_benchmark(benchmark_name, str(data_dir), "test").queries
    names = [Path(item.medium) for item in queries]
    colours = [
        miniatures.colour(name.stem if benchmark_name == "kinetics700" else name.name)
        for name in names
    ]
    candidates = open_benchmark(benchmark_name, str(data_dir), "test").candidates
    if not candidates:
        things = {text: place for place, item in enumerate(queries) for text in item.answers}
        return knowing_model(colours, range(len(queries)), things)
    templates = read_templates(TEMPLATES_FOLDER / f"{benchmark_name}.txt")
    things = {
        text: label
        for label, name in enumerate(candidates)
        for text in class_texts(templates, name)
    }
    return knowing_model(colours, [item.label for item in queries], things)


@pytest.mark.parametrize(
    ("task", "counts"), [("coco_retrieval", (2, 4)), ("flickr30k_retrieval", (2, 3))]
)
def test_retrieval_with_towers_that_know(
    tmp_path: Path, task: str, counts: tuple[int, int]
) -> None:
    benchmark = TASKS[task].benchmark
    MINIATURES[benchmark](tmp_path)
    found = _evaluate(task, _model_that_knows(benchmark, tmp_path), tmp_path)
    assert set(_values(found, "real").values()) == {100.0}
    swapped = _values(found, "swapped")
    assert swapped["image_to_text_recall_at_1"] == swapped["text_to_image_recall_at_1"] == 0.0
    numbers = {result.metric.rpartition("_at_")[0]: result.n for result in found}
    assert numbers == {
        "image_to_text_recall": counts[0], "text_to_image_recall": counts[1]
    }  # fmt: skip
    first = found[0]
    assert (first.task, first.split, first.shots, first.selection) == (task, "test", 0, "none")
    assert (first.config_hash, first.checkpoint) == ("0" * 12, two_towers.CHECKPOINT)


@pytest.mark.parametrize(
    ("task", "metric", "count", "worst_swapped"),
    [
        ("imagenet_zero_shot", "accuracy", 6, 50.0),
        ("kinetics700_zero_shot", "mean_top1_top5", 3, 99.0),
    ],
)
def test_classification_with_towers_that_know(
    tmp_path: Path, task: str, metric: str, count: int, worst_swapped: float
) -> None:
    benchmark = TASKS[task].benchmark
    MINIATURES[benchmark](tmp_path)
    real, swapped = _evaluate(task, _model_that_knows(benchmark, tmp_path), tmp_path)
    assert (real.images, real.metric, real.value, real.n) == ("real", metric, 100.0, count)
    assert (swapped.images, swapped.metric, swapped.n) == ("swapped", metric, count)
    assert swapped.value <= worst_swapped
    assert real.split == "val"


def _embedded_alone(model: Any, name: str, data_dir: Path) -> tuple[list[Any], np.ndarray]:
    """Queries, and the mean embedding of each one's frames, a frame at a time."""
    benchmark = open_benchmark(name, str(data_dir), "test")
    frames, rate = (NUM_FRAMES, 3.0) if name == "kinetics700" else (1, 1.0)
    embedded = []
    for item in benchmark.queries:
        pixels = decode(benchmark.query_media.read(item.medium), frames, IMAGE_SIZE, rate)
        mean = np.mean([embed_alone(model, frame) for frame in pixels], axis=0)
        embedded.append(mean / np.linalg.norm(mean))
    return list(benchmark.queries), np.stack(embedded)


def test_retrieval_of_a_real_model_is_what_sorting_finds(tmp_path: Path) -> None:
    model = random_model()
    miniatures.coco(tmp_path)
    items, image_IE = _embedded_alone(model, "coco", tmp_path)
    texts = [(text, place) for place, item in enumerate(items) for text in item.answers]
    similarity_IT = image_IE @ np.stack([embed_alone(model, text) for text, _ in texts]).T
    of_images = [texts[int(row.argmax())][1] == place for place, row in enumerate(similarity_IT)]
    of_texts = [
        int(similarity_IT[:, n].argmax()) == place for n, (_, place) in enumerate(texts)
    ]  # fmt: skip
    real = _values(_evaluate("coco_retrieval", model, tmp_path), "real")
    assert real["image_to_text_recall_at_1"] == pytest.approx(100 * np.mean(of_images))
    assert real["text_to_image_recall_at_1"] == pytest.approx(100 * np.mean(of_texts))
    assert real["image_to_text_recall_at_5"] == 100.0


@pytest.mark.parametrize("name", ["imagenet", "kinetics700"])
def test_classification_of_a_real_model_is_what_its_parts_say(tmp_path: Path, name: str) -> None:
    model = random_model()
    MINIATURES[name](tmp_path)
    # Templates of one's own.
    (tmp_path / "imagenet.txt").write_text("a {class_name}\nmany {class_name}s\n")
    (tmp_path / "kinetics700.txt").write_text("{class_name}\nto be {class_name}\n")
    patterns = {"imagenet": ("a {}", "many {}s"), "kinetics700": ("{}", "to be {}")}[name]
    items, image_NE = _embedded_alone(model, name, tmp_path)
    candidates = open_benchmark(name, str(tmp_path), "test").candidates
    points = []
    for item, image_E in zip(items, image_NE, strict=True):
        similarity = []
        for candidate in candidates:
            mean_E = np.mean([embed_alone(model, p.format(candidate)) for p in patterns], axis=0)
            similarity.append(float(image_E @ mean_E / np.linalg.norm(mean_E)))
        is_first = int(np.argmax(similarity)) == item.label
        # All miniatures have at most five classes.
        points.append(50.0 * is_first + 50.0 if name == "kinetics700" else 100.0 * is_first)
    real = _evaluate(f"{name}_zero_shot", model, tmp_path, templates=str(tmp_path))[0]
    assert real.value == pytest.approx(np.mean(points))


def test_some_queries_of_the_validation(tmp_path: Path) -> None:
    miniatures.imagenet(tmp_path)
    real, swapped = _evaluate(
        "imagenet_zero_shot", random_model(), tmp_path, split="validation", num_queries=3
    )
    assert (real.split, real.n, swapped.n) == ("validation", 3, 3)


@pytest.mark.parametrize("name", ["coco_retrieval", "imagenet_zero_shot"])
def test_what_is_written_is_not_found_again(tmp_path: Path, name: str) -> None:
    miniatures.coco(tmp_path / "data")
    miniatures.imagenet(tmp_path / "data")
    tasks = open_tasks([name], str(tmp_path / "data"), split="test")
    model = random_model()

    def evaluate(model: Any) -> list[Result]:
        return list(
            evaluate_two_tower_files(
                tasks, model, folder=tmp_path / "p", image_size=IMAGE_SIZE, config_hash="0" * 12
            )
        )

    found = evaluate(model)
    files = {path.name: path.read_bytes() for path in (tmp_path / "p").iterdir()}
    assert set(files) == {
        f"{name}{images}.{ending}" for images in ("", "-swapped") for ending in ("json", "jsonl")
    }

    def broken(*arguments: object) -> None:
        raise AssertionError("nothing is to be embedded")

    functions = dataclasses.replace(model.functions, encode_image=broken, encode_text=broken)
    assert evaluate(dataclasses.replace(model, functions=functions)) == found
    # Stopped between the two files.
    (tmp_path / "p" / f"{name}-swapped.jsonl").unlink()
    assert evaluate(model) == found
    assert {path.name: path.read_bytes() for path in (tmp_path / "p").iterdir()} == files
    with pytest.raises(UserError, match=f"{name}.jsonl has predictions of checkpoint"):
        evaluate(dataclasses.replace(model, checkpoint="contrastive/8/fedcba9876543210"))

    swapped = two_tower_predictions.read(tmp_path / "p" / f"{name}-swapped.jsonl")
    queries = tasks[0].queries
    shown = [line.medium for line in swapped[: len(queries)]]
    assert shown == [item.medium for item in (*queries[1:], queries[0])]


def test_what_is_wrong_is_told_at_opening(tmp_path: Path) -> None:
    def open_them(*names: str, **more: Any) -> None:
        open_tasks(names, str(tmp_path), split="test", **more)

    miniatures.coco(tmp_path)
    open_them("coco_retrieval")
    with pytest.raises(UserError, match="no task 'coco'; there are imagenet_zero_shot"):
        open_them("coco")
    with pytest.raises(UserError, match="there is no folder .*flickr30k.*get the files from"):
        open_them("coco_retrieval", "flickr30k_retrieval")
    with pytest.raises(UserError, match="imagenet.txt' cannot be read"):
        open_them("imagenet_zero_shot", templates=str(tmp_path))
    with pytest.raises(UserError, match="1 queries in 'test': at least 2"):
        open_them("coco_retrieval", num_queries=1)


def test_a_broken_picture_and_a_broken_model_are_told(tmp_path: Path) -> None:
    folder = miniatures.coco(tmp_path)
    model = random_model()
    functions = dataclasses.replace(
        model.functions, encode_image=lambda params, images: jnp.full((len(images), 12), jnp.nan)
    )
    with pytest.raises(UserError, match="embeddings of pictures are not finite"):
        _evaluate("coco_retrieval", dataclasses.replace(model, functions=functions), tmp_path)
    (folder / miniatures.coco_name("val2014", 60623)).write_bytes(b"no picture")
    with pytest.raises(UserError, match="cannot be shown"):
        _evaluate("coco_retrieval", model, tmp_path)
