"""Tests of the config: strict fields, derived values after overrides, exact JSON."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest

from configs import quickstart
from flamingo_jax.config import STAGES, config_hash, from_json, resolve, to_json, to_text
from flamingo_jax.core.errors import UserError

SMALL_DECODER = {"num_layers": 2, "width": 128, "num_heads": 4, "vocabulary_size": 512}


def make(stage: str = "flamingo") -> Any:
    return quickstart.get_config(stage)


@pytest.mark.parametrize("stage", STAGES)
def test_json_round_trip_is_exact(stage: str) -> None:
    config = resolve(make(stage))
    assert from_json(to_json(config)) == config
    assert config_hash(from_json(to_json(config))) == config_hash(config)


def test_json_keeps_every_bit_of_a_float() -> None:
    fields = make()
    fields.optimizer.learning_rate = 0.1 + 0.2
    assert from_json(to_json(resolve(fields))).optimizer.learning_rate == 0.30000000000000004


def test_hash_is_12_hex_digits_and_follows_every_field() -> None:
    config = resolve(make())
    name = config_hash(config)
    assert len(name) == 12
    assert int(name, 16) >= 0
    data = (dataclasses.replace(config.data[0], seed=99), *config.data[1:])
    assert config_hash(dataclasses.replace(config, data=data)) != name


def test_derived_values_follow_overrides() -> None:
    fields = make()
    fields.model.language_model.update({"width": 96, "num_heads": 3, "head_dim": 0})
    fields.model.cross_attention.update({"num_heads": 0, "head_dim": 0})
    fields.model.resampler.num_frames = 0
    for dataset in fields.data:
        dataset["num_frames"] = 1
    fields.data[3]["num_frames"] = 5
    model = resolve(fields).model
    assert model.language_model.head_dim == 32
    assert (model.cross_attention.num_heads, model.cross_attention.head_dim) == (3, 32)
    assert model.resampler.num_frames == 5


def test_given_values_are_not_derived() -> None:
    fields = make()
    fields.model.language_model.head_dim = 7
    fields.model.cross_attention.num_heads = 2
    model = resolve(fields).model
    assert model.language_model.head_dim == 7
    assert (model.cross_attention.num_heads, model.cross_attention.head_dim) == (2, 7)


def test_resolved_config_is_frozen() -> None:
    config = resolve(make())
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.steps = 3  # type: ignore[misc]
    assert isinstance(config.data, tuple)


def test_text_has_one_line_for_every_field() -> None:
    config = resolve(make())
    text = to_text(config)
    assert f"config.data[0].name = {config.data[0].name!r}\n" in text
    assert f"config.optimizer.learning_rate = {config.optimizer.learning_rate!r}\n" in text
    assert f"config.evaluation.shots = {config.evaluation.shots}\n" in text


def wrong(change: dict[str, Any], stage: str = "flamingo") -> str:
    """The message about a config with one change: {"dotted.path": value}."""
    fields = make(stage).to_dict()
    for path, value in change.items():
        *parents, name = path.split(".")
        holder: Any = fields
        for parent in parents:
            holder = holder[int(parent) if parent.isdigit() else parent]
        holder[name] = value
    with pytest.raises(UserError) as caught:
        resolve(fields)
    return str(caught.value)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            {"optimizer.learning_rat": 1.0},
            "config.optimizer.learning_rat does not exist:"
            " did you mean config.optimizer.learning_rate?",
        ),
        ({"data.0.batchsize": 1}, "did you mean config.data[0].batch_size?"),
        ({"zzz": 1}, "the fields of config are checkpoint, data, data_dir, evaluation"),
        ({"steps": "many"}, "config.steps is 'many': expected int"),
        ({"steps": True}, "config.steps is True: expected int"),
        ({"steps": 1.5}, "config.steps is 1.5: expected int"),
        ({"steps": 0}, "config.steps is 0: expected at least 1"),
        ({"optimizer": 3}, "config.optimizer is 3: expected the fields of OptimizerConfig"),
        ({"optimizer.schedule": "cosine"}, "expected one of constant, linear"),
        ({"optimizer.no_decay": "resampler/.*"}, "expected a list"),
        ({"data.0.p_next": 1.5}, "].p_next is 1.5: expected a probability"),
        (
            {"data.0.batch_size": 16, "data.0.microbatches": 3},
            "microbatches is 3: expected a divisor of batch_size 16",
        ),
        ({"data.0.name": "x", "data.1.name": "x"}, "datasets of unique names"),
        (
            {"mesh.data": 3, "data.0.batch_size": 16, "data.0.microbatches": 1},
            "is 16: expected a multiple of mesh.replica * mesh.data 3",
        ),
        ({"model.resampler": None}, "config.model.resampler is empty, but stage flamingo needs"),
        (
            {"model.resampler.num_frames": 4, "data.0.num_frames": 8},
            "expected at least 8, the frames of the longest",
        ),
        (
            {"model.language_model": {**SMALL_DECODER, "num_heads": 3}},
            "model.language_model.num_heads is 3: expected a divisor of 128",
        ),
        ({"model.precision.compute": "float16"}, "expected one of float32, bfloat16"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(change: dict[str, Any], said: str) -> None:
    message = wrong(change)
    assert said in message
    assert "\n" not in message


def test_missing_field_is_named() -> None:
    fields = make().to_dict()
    del fields["optimizer"]["learning_rate"]
    with pytest.raises(UserError, match=r"config\.optimizer\.learning_rate is missing"):
        resolve(fields)


def test_int_stands_for_float_and_becomes_one() -> None:
    fields = make().to_dict()
    fields["optimizer"]["learning_rate"] = 1
    rate = resolve(fields).optimizer.learning_rate
    assert rate == 1.0
    assert isinstance(rate, float)


def test_saved_config_that_is_not_json() -> None:
    with pytest.raises(UserError, match="is not JSON"):
        from_json("{")
    with pytest.raises(UserError, match=r"did you mean config\.steps"):
        from_json(json.dumps(json.loads(to_json(resolve(make()))) | {"stepz": 3}))


def test_quickstart_states_every_field() -> None:
    """Only what a config file states can be overridden on the command line."""
    for stage in STAGES:
        fields = make(stage).to_dict()
        resolved = json.loads(to_json(resolve(make(stage))))
        assert fields.keys() == resolved.keys()
        assert fields["optimizer"].keys() == resolved["optimizer"].keys()
        assert fields["evaluation"].keys() == resolved["evaluation"].keys()
        for stated, dataset in zip(fields["data"], resolved["data"], strict=True):
            assert stated.keys() == dataset.keys()


def test_quickstart_refuses_an_unknown_stage() -> None:
    with pytest.raises(ValueError, match="one of contrastive, language_model, .*flamingo"):
        quickstart.get_config("flamigo")
