"""From a model's answers to predictions: ensembles, means over tokens, several devices."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

from flamingo_jax.config import EvaluationConfig, MeshConfig
from flamingo_jax.config_evaluation import BenchmarkEvaluationConfig
from flamingo_jax.data import vocabulary
from flamingo_jax.evaluation.answering import Answerer, FewShotModel
from flamingo_jax.evaluation.benchmark_answers import BenchmarkAnswers, shape_of
from flamingo_jax.evaluation.benchmark_questions import Batch, Questions, Way
from flamingo_jax.evaluation.benchmark_task import TASKS
from flamingo_jax.evaluation.benchmarks.catalog import open_benchmark
from flamingo_jax.evaluation.grounding_files import Grounding
from flamingo_jax.evaluation.pictures import PictureEncoder
from flamingo_jax.evaluation.predictions import Prediction
from flamingo_jax.sharding.mesh import make_mesh
from tests.compilation import fast_compilation
from tests.evaluation import tiny
from tests.evaluation.benchmarks import miniatures

WORLD = vocabulary.load("world")


@pytest.fixture(autouse=True, scope="module")
def _compile_fast() -> Iterator[None]:
    with fast_compilation():
        yield


ONE_DEVICE = MeshConfig()
WAY = Way(shots=3, selection="random", seed=0, images="real")


def questions_of(
    name: str, folder: Path, mesh: MeshConfig, threads: ThreadPoolExecutor, ensemble: int = 1
) -> Questions:
    """Those of a miniature."""
    flamingo, encoder = model(mesh)
    return Questions(
        open_benchmark(name, str(folder), "test"), TASKS[name], config(mesh, ensemble=ensemble),
        flamingo, encoder, threads, folder,
    )  # fmt: skip


def config(mesh: MeshConfig, **fields: Any) -> BenchmarkEvaluationConfig:
    return BenchmarkEvaluationConfig(
        tasks=("coco",), batch_size=2, max_decode_length=5, mesh=mesh, **fields
    )


@functools.cache
def model(mesh: MeshConfig) -> tuple[FewShotModel, PictureEncoder]:
    functions, params = tiny.model(WORLD.size)
    devices = make_mesh(mesh)
    whole = jax.sharding.NamedSharding(devices, jax.sharding.PartitionSpec())
    flamingo = FewShotModel(
        functions=functions, params=jax.device_put(params, whole), mesh=devices, vocabulary=WORLD,
        image_size=32, checkpoint="flamingo/1/abc",
    )  # fmt: skip
    return flamingo, PictureEncoder(functions, flamingo.params, devices)


@functools.cache
def answers(mesh: MeshConfig, mean: bool) -> BenchmarkAnswers:
    return BenchmarkAnswers(model(mesh)[0], config(mesh, mean_log_likelihood=mean))


def ask(
    name: str, folder: Path, mesh: MeshConfig = ONE_DEVICE, mean: bool = False, ensemble: int = 1
) -> tuple[Batch, list[Prediction]]:
    """Asks the first two queries of a miniature."""
    with ThreadPoolExecutor(2) as threads:
        questions = questions_of(name, folder, mesh, threads, ensemble)
        batch = questions.batch(range(2), WAY)
        return batch, list(answers(mesh, mean).predict(questions, batch))


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("benchmarks")
    for name in ("hateful_memes", "coco"):
        miniatures.MINIATURES[name](folder)
    return folder


def test_an_ensemble_is_the_mean_over_orders_of_the_shots(data_dir: Path) -> None:
    batch, predictions = ask("hateful_memes", data_dir, ensemble=6)
    answerer = Answerer(model(ONE_DEVICE)[0], EvaluationConfig(batch_size=2, max_decode_length=1))
    candidates = ("no", "yes")
    for asked, prediction in zip(batch.asked, predictions, strict=True):
        scores = np.stack(
            [
                answerer.rank([prompt], batch.latents, shape_of([prompt]), candidates)[0]
                for prompt in asked.prompts
            ]
        )
        assert len(scores) == 6 and np.ptp(scores, axis=0).min() > 0  # the order matters
        np.testing.assert_allclose(prediction.scores, scores.mean(axis=0), rtol=1e-4)
        assert prediction.orders == tuple(map(tuple, asked.orders.tolist()))
        assert prediction.score == max(prediction.scores)


def test_log_likelihoods_may_be_taken_per_token(data_dir: Path) -> None:
    _, sums = ask("hateful_memes", data_dir)
    _, means = ask("hateful_memes", data_dir, mean=True)
    tokens = np.array([len(WORLD.encode(f" {text}")) + 1 for text in ("no", "yes")])
    for total, mean in zip(sums, means, strict=True):
        np.testing.assert_allclose(mean.scores, np.array(total.scores) / tokens, rtol=1e-5)
        assert total.orders == ()


@pytest.mark.parametrize("name", ["hateful_memes", "coco"])
def test_answers_are_the_same_on_any_mesh(name: str, data_dir: Path) -> None:
    _, one = ask(name, data_dir)
    _, many = ask(name, data_dir, MeshConfig(data=2, model=2))
    for here, there in zip(one, many, strict=True):
        np.testing.assert_allclose(here.scores, there.scores, rtol=1e-3, atol=1e-3)
        assert here.score == pytest.approx(there.score, rel=1e-3)
        assert dataclasses.replace(here, score=0.0, scores=()) == dataclasses.replace(
            there, score=0.0, scores=()
        )


def ground(name: str, folder: Path, mesh: MeshConfig = ONE_DEVICE) -> tuple[Batch, list[Grounding]]:
    """What is measured of the first two queries of a miniature."""
    with ThreadPoolExecutor(2) as threads:
        batch = questions_of(name, folder, mesh, threads).batch(range(2), WAY)
        return batch, list(answers(mesh, False).ground(batch, is_real=True))


def test_the_loss_of_ranked_answers_follows_from_their_scores(data_dir: Path) -> None:
    _, predictions = ask("hateful_memes", data_dir, mean=True)
    _, groundings = ground("hateful_memes", data_dir)
    for prediction, line in zip(predictions, groundings, strict=True):
        assert (line.query, line.index) == (prediction.query, prediction.index)
        assert line.reference == ("no", "yes")[prediction.label]
        assert line.loss == pytest.approx(-prediction.scores[prediction.label], rel=1e-5)


def test_the_loss_of_open_answers_is_that_of_the_first_reference(data_dir: Path) -> None:
    batch, groundings = ground("coco", data_dir)
    functions, params = tiny.model(WORLD.size)
    for asked, line in zip(batch.asked, groundings, strict=True):
        assert line.reference == asked.item.answers[0]
        (prompt,) = asked.prompts
        answer = [*WORLD.encode(f" {line.reference}"), WORLD.end_of_chunk_id]
        text = np.array([[*prompt.text, *answer]])
        phi = np.array([[*prompt.media_index, *[len(prompt.pictures)] * len(answer)]])
        logits = functions.forward(params, text, phi, batch.latents[list(prompt.pictures)][None])
        log_p = jax.nn.log_softmax(logits)[0, len(prompt.text) - 1 : -1]
        expected = -np.mean(np.asarray(log_p)[np.arange(len(answer)), answer])
        assert line.loss == pytest.approx(expected, rel=1e-4)


def test_attention_is_that_of_each_prompt_alone(data_dir: Path) -> None:
    batch, groundings = ground("coco", data_dir)
    functions, params = tiny.model(WORLD.size)
    for asked, line in zip(batch.asked, groundings, strict=True):
        (prompt,) = asked.prompts
        text, phi = np.array([prompt.text]), np.array([prompt.media_index])
        _, cache = functions.prefill(
            params, text, np.array([len(prompt.text)]), phi,
            batch.latents[list(prompt.pictures)][None], len(prompt.text),
        )  # fmt: skip
        masses = functions.attention_masses(params, text, phi, cache, len(prompt.pictures))
        assert len(prompt.pictures) == 4 == len(line.cross_attention)
        np.testing.assert_allclose(line.cross_attention, masses.pictures[0], rtol=1e-4)
        found = (line.self_attention_before, *line.self_attention)
        np.testing.assert_allclose(found, masses.text[0], rtol=1e-4)
        assert line.cross_attention_change == pytest.approx(float(masses.change[0]), rel=1e-4)
        assert len(set(found)) == 5 and line.cross_attention[-1] == pytest.approx(1)


@pytest.mark.parametrize("is_real", [False, True])
def test_without_right_answers_there_is_no_loss(data_dir: Path, is_real: bool) -> None:
    with ThreadPoolExecutor(2) as threads:
        batch = questions_of("coco", data_dir, ONE_DEVICE, threads).batch(range(2), WAY)
    unknown = dataclasses.replace(
        batch.asked[0], item=dataclasses.replace(batch.asked[0].item, answers=())
    )
    batch = dataclasses.replace(batch, asked=(unknown, batch.asked[1]))
    first, second = answers(ONE_DEVICE, False).ground(batch, is_real=is_real)
    assert (first.reference, first.loss) == ("", None)
    assert second.loss == pytest.approx(ground("coco", data_dir)[1][1].loss, rel=1e-5)
    for line in (first, second):
        assert bool(line.cross_attention) is bool(line.self_attention) is is_real
        assert (line.cross_attention_change is None) is not is_real


def test_grounding_is_the_same_on_any_mesh(data_dir: Path) -> None:
    _, one = ground("coco", data_dir)
    _, many = ground("coco", data_dir, MeshConfig(data=2, model=2))
    for here, there in zip(one, many, strict=True):
        assert here.loss == pytest.approx(there.loss, rel=1e-3)
        np.testing.assert_allclose(here.self_attention, there.self_attention, rtol=1e-3)
        change = here.cross_attention_change
        assert there.cross_attention_change == pytest.approx(change, rel=1e-3)
