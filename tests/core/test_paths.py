"""Path selection: flatten, rules, partition, merge."""

from __future__ import annotations

import pytest

from flamingo_jax.core.errors import UserError
from flamingo_jax.core.paths import PathRules, flatten, merge, partition, unflatten

PARAMS = {
    "resampler/layer/attention/query": {"w": 1},
    "language_model/final_norm": {"scale": 2},
    "language_model": {"embedding": 3},
    "resampler": {"latents": 4},
}


def test_flatten_names_leaves_and_unflatten_is_its_inverse() -> None:
    leaves = flatten(PARAMS)
    assert leaves == {
        "language_model/embedding": 3,
        "language_model/final_norm/scale": 2,
        "resampler/latents": 4,
        "resampler/layer/attention/query/w": 1,
    }
    assert list(leaves) == sorted(leaves)
    assert unflatten(leaves) == PARAMS


def test_flatten_refuses_other_depths() -> None:
    with pytest.raises(TypeError, match="'module'"):
        flatten({"module": 1.0})  # type: ignore[dict-item]
    with pytest.raises(ValueError, match="not a leaf"):
        flatten({"module": {"below": {"w": 1}}})
    with pytest.raises(ValueError, match="no module"):
        unflatten({"w": 1})


def test_first_full_match_wins() -> None:
    rules = PathRules([(r".*/b", "bias"), (r"resampler/.*", "resampler"), (r".*", "rest")])
    assert rules.match("resampler/linear/b") == "bias"
    assert rules.match("resampler/linear/w") == "resampler"
    assert rules.match("my_resampler/linear/w") == "rest"
    # A full match, not a search: "w" alone would otherwise catch every path with a w in it.
    assert not PathRules([("w", 0)]).covers("linear/w")


def test_assign_covers_every_path() -> None:
    rules = PathRules([(r"resampler/.*", True), (r"language_model/.*", False)])
    assert rules.assign(flatten(PARAMS)) == {
        path: path.startswith("resampler") for path in flatten(PARAMS)
    }


def test_uncovered_path_is_named() -> None:
    rules = PathRules([(r"resampler/.*", 1)], name="decay rules")
    with pytest.raises(UserError, match="decay rules.*'language_model/embedding'"):
        rules.assign(flatten(PARAMS))
    with pytest.raises(UserError, match="'vision/w'"):
        rules.match("vision/w")


def test_unused_rule_is_named_even_if_only_shadowed() -> None:
    with pytest.raises(UserError, match="'resampeler/"):
        PathRules([(r"resampeler/.*", 1), (r".*", 2)]).assign(flatten(PARAMS))
    with pytest.raises(UserError, match="rule 'resampler/"):
        PathRules([(r".*", 2), (r"resampler/.*", 1)]).assign(flatten(PARAMS))


def test_broken_expression_is_a_user_error() -> None:
    with pytest.raises(UserError, match="no regular expression"):
        PathRules([("(", 1)])


def test_merge_undoes_partition() -> None:
    selected, rest = partition(PARAMS, lambda path: path.startswith("resampler/l"))
    assert set(flatten(selected)) == {"resampler/latents", "resampler/layer/attention/query/w"}
    assert set(flatten(selected)) | set(flatten(rest)) == set(flatten(PARAMS))
    assert not set(flatten(selected)) & set(flatten(rest))
    assert merge(selected, rest) == PARAMS
    assert merge(rest, selected, {}) == PARAMS


def test_partition_splits_within_a_module() -> None:
    params = {"linear": {"w": 1, "b": 2}}
    biases, others = partition(params, lambda path: path.endswith("/b"))
    assert (biases, others) == ({"linear": {"b": 2}}, {"linear": {"w": 1}})
    assert merge(biases, others) == params


def test_merge_refuses_a_path_twice() -> None:
    with pytest.raises(ValueError, match="'resampler/latents'"):
        merge(PARAMS, {"resampler": {"latents": 4}})
