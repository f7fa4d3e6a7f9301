"""Prompts: the worked example, phi, the swapped control, shapes; nothing of a model."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from flamingo_jax.data import schema, vocabulary
from flamingo_jax.data.ops import interleave, media_index
from flamingo_jax.evaluation.prompts import (
    Prompt,
    Shape,
    make_prompt,
    pad_batch,
    plan_shapes,
    swap_pictures,
)

WORLD = vocabulary.load("world")


def _pieces(prompt: Prompt) -> str:
    return " ".join("<BOS>" if t == schema.BOS_ID else WORLD.piece(t) for t in prompt.text)


def test_the_worked_example_with_two_shots() -> None:
    prompt = make_prompt(
        WORLD, shots=[(40, "Output: red"), (7, "Output: blue")], query=(300, "Output:")
    )
    assert _pieces(prompt) == (
        "<BOS> < image > Output : ▁red <EOC> < image > Output : ▁blue <EOC> < image > Output :"
    )
    assert prompt.media_index == (0, *[1] * 7, *[2] * 7, *[3] * 5)
    assert prompt.pictures == (40, 7, 300)


def test_the_worked_example_without_shots() -> None:
    # The paper's 0-shot prompt: two text examples, of neither picture nor tag.
    prompt = make_prompt(
        WORLD, shots=[], query=(300, "Output:"), text_examples=["Output: red", "Output: blue"]
    )
    assert _pieces(prompt) == ("<BOS> Output : ▁red <EOC> Output : ▁blue <EOC> < image > Output :")
    assert prompt.media_index == (0, *[0] * 8, *[1] * 5)
    assert prompt.pictures == (300,)


def test_a_prompt_is_what_training_makes_of_the_page_up_to_the_answer() -> None:
    said = ["Question: which ink is it? Answer: red", "Question: where is it? Answer: top"]
    prompt = make_prompt(WORLD, shots=[(0, said[0])], query=(1, said[1].removesuffix(" top")))
    page = interleave.interleave(["", *said], WORLD)
    phi = media_index.media_index(page.chunk, 2, 0.0, np.random.default_rng(0))
    length = len(prompt.text)
    assert prompt.text == tuple(page.text[:length])
    assert prompt.media_index == tuple(phi[:length])
    answer = [*WORLD.encode(" top"), WORLD.end_of_chunk_id, schema.EOS_ID]
    assert answer == page.text[length:].tolist()


def _prompts(count: int, num_pictures: int, length: int = 4) -> list[Prompt]:
    return [
        Prompt(
            text=tuple(range(10 * q, 10 * q + length)),
            media_index=(0, *[num_pictures] * (length - 1)),
            pictures=tuple(100 * q + picture for picture in range(num_pictures)),
        )
        for q in range(count)
    ]


def test_swapping_changes_pictures_and_no_text() -> None:
    real = _prompts(5, 3)
    swapped = swap_pictures(real)
    for before, after in zip(real, swapped, strict=True):
        assert (after.text, after.media_index) == (before.text, before.media_index)
        assert not set(after.pictures) & set(before.pictures)
    # Every picture is still shown once, and each prompt has those of one other prompt, in order.
    assert {p.pictures for p in swapped} == {p.pictures for p in real}
    latents = np.random.default_rng(0).normal(size=(500, 2, 3)).astype(np.float32)
    shape = Shape(4, 3)
    batches = [pad_batch(prompts, latents, shape) for prompts in (real, swapped)]
    for field in ("text", "length", "media_index", "last_media_index"):
        np.testing.assert_array_equal(*(getattr(batch, field) for batch in batches))
    np.testing.assert_array_equal(np.roll(batches[0].latents, -1, axis=0), batches[1].latents)


def test_swapping_refuses_what_it_cannot_swap() -> None:
    with pytest.raises(ValueError, match="two or more"):
        swap_pictures(_prompts(1, 3))
    with pytest.raises(ValueError, match="one number"):
        swap_pictures([*_prompts(2, 3), *_prompts(1, 2)])


def test_padding_is_on_the_right() -> None:
    prompts = [*_prompts(1, 1, length=3), *_prompts(1, 2, length=5)]
    latents = np.arange(6, dtype=np.float32).reshape(6, 1, 1) + 1
    batch = pad_batch(prompts, latents, Shape(6, 3))
    assert batch.text.tolist() == [[0, 1, 2, 0, 0, 0], [0, 1, 2, 3, 4, 0]]
    assert batch.media_index.tolist() == [[0, 1, 1, 0, 0, 0], [0, 2, 2, 2, 2, 0]]
    assert batch.length.tolist() == [3, 5]
    assert batch.last_media_index.tolist() == [1, 2]
    assert batch.latents[..., 0, 0].tolist() == [[1, 0, 0], [1, 2, 0]]


def test_shapes_are_few_and_large_enough() -> None:
    sets = [
        _prompts(200, pictures, length)
        for pictures, length in [(1, 14), (5, 40), (5, 75), (9, 62), (9, 140), (17, 120), (17, 262)]
    ]
    shapes = plan_shapes(sets)
    assert 1 < len(set(shapes)) < len(sets)
    for prompts, shape in zip(sets, shapes, strict=True):
        assert all(len(p.text) <= shape.num_tokens for p in prompts)
        assert all(len(p.pictures) <= shape.num_pictures for p in prompts)


def test_many_prompts_are_worth_a_shape_and_few_are_not() -> None:
    short, long = (1, 20), (17, 250)
    few = plan_shapes([_prompts(10, *short), _prompts(10, *long)])
    assert few == [Shape(250, 17)] * 2
    many = plan_shapes([_prompts(10, *long), _prompts(1000, *short)])
    assert many == [Shape(250, 17), Shape(20, 1)]
    assert plan_shapes([]) == []


def test_a_prompt_is_a_value() -> None:
    prompt = _prompts(1, 1)[0]
    with pytest.raises(dataclasses.FrozenInstanceError):
        prompt.text = ()  # type: ignore[misc]
