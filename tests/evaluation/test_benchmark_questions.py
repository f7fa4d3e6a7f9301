"""Which pictures reach the answers to the paper's benchmarks, shown by changing them."""

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
from flamingo_jax.core.paths import flatten, unflatten
from flamingo_jax.data import vocabulary
from flamingo_jax.data.ops.decode import decode
from flamingo_jax.evaluation.answering import Answerer, FewShotModel
from flamingo_jax.evaluation.benchmark_answers import shape_of
from flamingo_jax.evaluation.benchmark_questions import Asked, Batch, Questions, Way
from flamingo_jax.evaluation.benchmark_task import TASKS, shots_to_ask
from flamingo_jax.evaluation.benchmarks.catalog import open_benchmark
from flamingo_jax.evaluation.benchmarks.clip_files import END_SECONDS, START_SECONDS
from flamingo_jax.evaluation.pictures import PictureEncoder
from flamingo_jax.evaluation.prompts import Prompt, Shape, pad_batch
from flamingo_jax.sharding.mesh import make_mesh
from tests.compilation import fast_compilation
from tests.evaluation import paper_benchmarks, tiny

WORLD = vocabulary.load("world")
SHOTS = 2
FRAMES = 10
NUM_PICTURES = SHOTS + 2  # one more than any prompt has
ANSWERS = ("seven", "red")


@functools.cache
def model(hears_text: bool = True) -> FewShotModel:
    """A tiny Flamingo; without self-attention, no text position hears of another."""
    functions, params = tiny.model(WORLD.size)
    if not hears_text:
        params = unflatten(
            {
                path: leaf * 0 if "/attention/output/" in path else leaf
                for path, leaf in flatten(params).items()
            }
        )
    mesh = make_mesh(MeshConfig())
    whole = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec())
    return FewShotModel(
        functions=functions, params=jax.device_put(params, whole), mesh=mesh, vocabulary=WORLD,
        image_size=32, checkpoint="flamingo/1/abc",
    )  # fmt: skip


@functools.cache
def encoder() -> PictureEncoder:
    return PictureEncoder(model().functions, model().params, model().mesh)


@functools.cache
def answerer(hears_text: bool) -> Answerer:
    return Answerer(
        model(hears_text), EvaluationConfig(batch_size=NUM_PICTURES, max_decode_length=2)
    )


@functools.cache
def forward() -> Any:
    return jax.jit(model().functions.forward)


@pytest.fixture(autouse=True, scope="module")
def _compile_fast() -> Iterator[None]:
    with fast_compilation():
        yield


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return paper_benchmarks.write(tmp_path_factory.mktemp("benchmarks"))


@pytest.fixture(scope="module")
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2) as executor:
        yield executor


def questions(
    name: str, data_dir: Path, threads: ThreadPoolExecutor, folder: Path = Path(), **fields: Any
) -> Questions:
    config = BenchmarkEvaluationConfig(tasks=(name,), num_frames=FRAMES, **fields)
    return Questions(
        open_benchmark(name, str(data_dir), "test"), TASKS[name], config, model(), encoder(),
        threads, folder,
    )  # fmt: skip


def way(shots: int, **fields: Any) -> Way:
    given = {"selection": "random" if shots else "none", "seed": 0, "images": "real"} | fields
    return Way(shots=shots, **given)


def shape(name: str) -> Shape:
    """A size that the prompts of a miniature fit in: dialogs are long. Two are compiled."""
    return Shape(1536 if name == "visdial" else 256, NUM_PICTURES)


WAYS = [(name, shots) for name in TASKS for shots in shots_to_ask(name, (0, SHOTS))[0]]


def altered(batch: Batch, place: int) -> tuple[list[Prompt], np.ndarray]:
    """A query's prompt as it is, and then with one after another of its pictures changed."""
    (prompt,) = batch.asked[place].prompts
    changed = batch.latents + 1.0
    count = len(batch.latents)
    prompts = [prompt]
    for number in range(len(prompt.pictures)):
        pictures = list(prompt.pictures)
        pictures[number] += count
        prompts.append(dataclasses.replace(prompt, pictures=tuple(pictures)))
    return prompts, np.concatenate([batch.latents, changed])


@pytest.mark.parametrize(("name", "shots"), WAYS)
def test_only_the_query_s_picture_reaches_the_answer(
    name: str, shots: int, data_dir: Path, threads: ThreadPoolExecutor
) -> None:
    asking = questions(name, data_dir, threads)
    prompts, latents = altered(asking.batch(range(2), way(shots)), 1)
    assert len(prompts[0].pictures) == shots + 1

    # Without a cache: the logits behind the prompt, and behind the first token of an answer.
    padded = pad_batch([*prompts, *prompts][:NUM_PICTURES], latents, shape(name))
    text, media_index, length = padded.text, padded.media_index, int(padded.length[0])
    text[:, length] = WORLD.encode(" seven")[0]
    media_index[:, length] = shots + 1
    params = model(hears_text=False).params
    logits = np.asarray(forward()(params, text, media_index, padded.latents))[: len(prompts)]
    # With it: the log-likelihoods of whole answers.
    scores = answerer(hears_text=False).rank(prompts, latents, shape(name), ANSWERS)
    for found in (logits[:, length - 1], logits[:, length], scores):
        changed = np.abs(found - found[0]).max(axis=-1) > 1e-5
        assert np.flatnonzero(changed).tolist() == [shots + 1]


@pytest.mark.parametrize(("name", "shots"), WAYS)
def test_what_a_prompt_shows_is_what_its_items_are_about(
    name: str, shots: int, data_dir: Path, threads: ThreadPoolExecutor
) -> None:
    asking = questions(name, data_dir, threads)
    batch = asking.batch(range(2), way(shots))
    benchmark, task = asking.benchmark, asking.task
    for asked in batch.asked:
        items = [asking.support.items[row] for row in asked.support[:shots]]
        stores = [benchmark.support_media] * shots
        for item, store, number in zip(
            [*items, asked.item], [*stores, benchmark.query_media], asked.prompts[0].pictures,
            strict=True,
        ):  # fmt: skip
            part = {
                key: item.details[key]
                for key in (START_SECONDS, END_SECONDS)
                if key in item.details
            }
            frames = 1 if task.num_frames == 1 else FRAMES
            pixels = decode(store.read(item.medium), frames, 32, task.frames_per_second, **part)
            expected = encoder()([pixels]).latents[0]
            np.testing.assert_allclose(batch.latents[number], expected, rtol=1e-4, atol=1e-4)


def test_with_self_attention_shots_matter_too(data_dir: Path, threads: ThreadPoolExecutor) -> None:
    # Else the first test would show nothing.
    batch = questions("vqav2", data_dir, threads).batch([0], way(SHOTS))
    prompts, latents = altered(batch, 0)
    scores = answerer(hears_text=True).rank(prompts, latents, shape("vqav2"), ANSWERS)
    assert (np.abs(scores - scores[0]).max(axis=-1) > 1e-5).tolist() == [False, True, True, True]


def test_0_shots_have_two_texts_without_picture_or_tag(
    data_dir: Path, threads: ThreadPoolExecutor
) -> None:
    (asked,) = questions("vqav2", data_dir, threads).batch([1], way(0)).asked
    text, _, question = asked.text.partition("<image>")
    assert text.count("<EOC>") == 2 and text.startswith("Question: ") and text.endswith("<EOC>")
    assert question == f"Question: {asked.item.question} Answer:"
    assert len(asked.support) == 2 and len(asked.prompts[0].pictures) == 1
    # What stands before the tag sees no picture; all from the tag on sees the query's.
    phi = np.array(asked.prompts[0].media_index)
    assert set(phi) == {0, 1} and (np.diff(phi) >= 0).all()
    # Closed answers take none.
    (asked,) = questions("hateful_memes", data_dir, threads).batch([0], way(0)).asked
    assert asked.text.startswith("<image>is an image with written") and asked.support == ()


@pytest.mark.parametrize("name", ["coco", "vqav2", "imagenet", "visdial", "hateful_memes", "ivqa"])
def test_tokens_are_those_of_the_text(
    name: str, data_dir: Path, threads: ThreadPoolExecutor
) -> None:
    for shots in (0, SHOTS):
        (asked,) = questions(name, data_dir, threads).batch([0], way(shots)).asked
        (prompt,) = asked.prompts
        parts = [WORLD.encode(part) for part in asked.text.split("<EOC>")]
        tokens = [token for part in parts for token in (*part, WORLD.end_of_chunk_id)]
        assert list(prompt.text[1:]) == tokens[:-1]


def _pictures(asked: Asked, batch: Batch) -> np.ndarray:
    return batch.latents[list(asked.prompts[0].pictures)]


def test_controls_show_black_or_another_query_s_pictures(
    data_dir: Path, threads: ThreadPoolExecutor
) -> None:
    asking = questions("vqav2", data_dir, threads)
    everyone = range(len(asking.queries))
    real, zeroed, swapped = (
        asking.batch(everyone, way(SHOTS, images=images))
        for images in ("real", "zeroed", "swapped")
    )
    black = encoder()([np.zeros((1, 32, 32, 3), np.uint8)]).latents[0]
    for one, other in zip(real.asked, swapped.asked, strict=True):
        assert (one.text, one.support) == (other.text, other.support)
        own = _pictures(one, real)[-1]
        shown = _pictures(other, swapped)[-1]
        assert np.abs(own - shown).max() > 1e-3
        # It is the picture of a query, and never the black one.
        assert any(np.array_equal(shown, _pictures(asked, real)[-1]) for asked in real.asked)
    for asked in zeroed.asked:
        assert np.abs(_pictures(asked, zeroed) - black).max() < 1e-5


def test_rices_takes_the_most_similar_and_keeps_features_on_disk(
    data_dir: Path, threads: ThreadPoolExecutor, tmp_path: Path
) -> None:
    asking = questions("imagenet", data_dir, threads, tmp_path)
    rices = way(3, selection="rices")
    (asked,) = asking.batch([0], rices).asked
    benchmark = asking.benchmark
    pixels = [
        decode(store.read(item.medium), 1, 32, 1.0)
        for item, store in [
            (asked.item, benchmark.query_media),
            *((item, benchmark.support_media) for item in asking.support.items),
        ]
    ]
    pooled = encoder()(pixels).pooled
    similarity = pooled[1:] @ pooled[0]
    assert list(asked.support) == sorted(np.argsort(-similarity, kind="stable")[:3].tolist(),
                                         key=lambda row: similarity[row])  # fmt: skip
    (kept,) = (tmp_path / "rices").iterdir()
    np.testing.assert_allclose(np.load(kept), pooled[1:], rtol=1e-5, atol=1e-6)
    # What is there is used; what is broken is computed again.
    again = questions("imagenet", data_dir, threads, tmp_path)
    np.save(kept, np.load(kept)[::-1])
    (other,) = again.batch([0], rices).asked
    assert other.support != asked.support
    kept.write_bytes(b"half a fi")
    (third,) = questions("imagenet", data_dir, threads, tmp_path).batch([0], rices).asked
    assert third.support == asked.support


def test_an_ensemble_has_the_shots_in_six_orders(
    data_dir: Path, threads: ThreadPoolExecutor
) -> None:
    asking = questions("imagenet", data_dir, threads, ensemble=6)
    (asked,) = asking.batch([0], way(4)).asked
    assert len(asked.prompts) == 6
    for order, prompt in zip(asked.orders, asked.prompts, strict=True):
        pictures = [asked.prompts[0].pictures[list(asked.orders[0]).index(p)] for p in order]
        assert list(prompt.pictures) == [*pictures, asked.prompts[0].pictures[-1]]
    # Open answers are generated once.
    (asked,) = questions("coco", data_dir, threads, ensemble=6).batch([0], way(SHOTS)).asked
    assert len(asked.prompts) == 1


def test_any_first_part_of_the_queries_is_the_same_sample(
    data_dir: Path, threads: ThreadPoolExecutor
) -> None:
    asking, again = (questions("imagenet", data_dir, threads) for _ in range(2))
    assert asking.queries == again.queries
    assert asking.queries != asking.benchmark.queries
    assert {query.id for query in asking.queries} == {q.id for q in asking.benchmark.queries}


def test_shapes_are_few_and_fit() -> None:
    shapes = set()
    for length in range(1, 3000):
        prompt = Prompt(text=(5,) * length, media_index=(1,) * length, pictures=(0, 1))
        shape = shape_of([prompt])
        assert length <= shape.num_tokens < length + max(64, length / 4)
        shapes.add(shape)
    assert len(shapes) < 30
