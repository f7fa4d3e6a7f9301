"""The full-size config files: the paper's numbers, and fields that are all open to overrides."""

from __future__ import annotations

import dataclasses
import importlib
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import pytest

from configs import contrastive
from configs.ablations import resampler as resampler_rows
from flamingo_jax.config import RunConfig, resolve
from flamingo_jax.core.errors import UserError
from flamingo_jax.core.paths import flatten
from flamingo_jax.models import build
from flamingo_jax.models.variants import CLIP_VARIANTS, NFNET_VARIANTS, RESAMPLER_SIZES
from flamingo_jax.tables.model_counts import ABLATIONS
from tests.configs.config_files import load, resolved

REPOSITORY = Path(__file__).parents[2]
FLAMINGOS = [
    "configs/flamingo_3b.py",
    "configs/flamingo_3b.py:head96",
    "configs/flamingo_9b.py",
    "configs/flamingo_9b.py:table4,head96",
    "configs/flamingo_80b.py",
    "configs/flamingo_80b.py:head96",
]
PRETRAINING = [
    *(f"configs/contrastive.py:{name}" for name in contrastive.VISION_ENCODERS),
    *(f"configs/language_model.py:{size}" for size in ("1.4B", "7B", "70B")),
]
ROWS = [row.config for row in ABLATIONS]


@pytest.mark.parametrize("config", [*FLAMINGOS, *PRETRAINING, *ROWS])
def test_every_config_resolves_and_lists_all_fields(config: str) -> None:
    fields = load(config).to_dict()
    run = dataclasses.asdict(resolve(fields))
    run |= run.pop("model")
    assert missing(run, fields) == []


def missing(resolved_fields: Any, written: Any, path: str = "config") -> list[str]:
    """Paths of fields that a config file leaves to their defaults, hence closed to overrides."""
    if isinstance(resolved_fields, Mapping) and written is not None:
        return [
            problem
            for name, value in resolved_fields.items()
            for problem in (
                missing(value, written[name], f"{path}.{name}")
                if name in written
                else [f"{path}.{name}"]
            )
        ]
    if isinstance(resolved_fields, list | tuple):
        pairs = zip(resolved_fields, written, strict=True)
        return [p for i, (a, b) in enumerate(pairs) for p in missing(a, b, f"{path}[{i}]")]
    return []


def test_a_field_that_is_not_listed_is_found() -> None:
    assert missing({"a": {"b": 1}, "c": ({"d": 2},)}, {"a": {}, "c": [{}]}) == [
        "config.a.b",
        "config.c[0].d",
    ]


@pytest.mark.parametrize("config", ["configs/flamingo_3b.py", *PRETRAINING[:1], *ROWS[:3]])
def test_every_call_makes_a_config_of_its_own(config: str) -> None:
    first = load(config)
    first["data"][0]["batch_size"] = 1
    first.optimizer.learning_rate = 7.0
    assert load(config)["data"][0]["batch_size"] != 1
    assert load(config).optimizer.learning_rate != 7.0


FILES = sorted({config.partition(":")[0] for config in [*FLAMINGOS, *PRETRAINING, *ROWS]})


@pytest.mark.parametrize("file", FILES)
def test_the_header_has_a_command_that_names_the_file(file: str) -> None:
    module = importlib.import_module(file.removesuffix(".py").replace("/", "."))
    commands = [line for line in (module.__doc__ or "").splitlines() if "python -m" in line]
    assert commands
    assert all(f"--config={file}" in line for line in commands)


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ("configs/flamingo_3b.py:head64", "expected head128 or head96"),
        ("configs/flamingo_9b.py:table5", "expected counts or table4; head128 or head96"),
        ("configs/flamingo_9b.py:table4,counts", "chooses twice"),
        ("configs/flamingo_80b.py:head96,head96", "chooses twice"),
        ("configs/contrastive.py:nfnet_f9", "expected nfnet_f6 or nfnet_f0"),
        ("configs/language_model.py:13B", "expected 1.4B or 7B or 70B"),
        ("configs/ablations/base.py:off", "expected no row"),
        ("configs/ablations/gating.py", "expected off"),
        ("configs/ablations/p_next.py:2", "expected 0, 1"),
    ],
)
def test_an_unknown_argument_lists_the_choices(config: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        load(config)


@pytest.mark.parametrize(
    ("config", "language_model", "every"),
    [
        ("configs/flamingo_3b.py", (24, 2048, 16), 1),
        ("configs/flamingo_9b.py:table4", (40, 4096, 32), 4),
        ("configs/flamingo_80b.py", (80, 8192, 64), 7),
    ],
)
def test_sizes_are_those_of_table_4(
    config: str, language_model: tuple[int, int, int], every: int
) -> None:
    model = resolved(config).model
    assert model.language_model and model.resampler and model.cross_attention
    assert model.vision_encoder and model.vision_encoder.variant == "nfnet_f6"
    sizes = model.language_model
    assert (sizes.num_layers, sizes.width, sizes.num_heads) == language_model
    assert (model.cross_attention.num_heads, model.cross_attention.head_dim) == (
        sizes.num_heads,
        128,
    )
    assert model.cross_attention.every == every
    resampler = model.resampler
    assert (resampler.num_layers, resampler.width, resampler.num_heads) == (6, 1536, 16)
    assert (resampler.num_latents, resampler.num_frames) == (64, 8)


def test_the_default_9b_is_that_of_the_counts() -> None:
    model = resolved("configs/flamingo_9b.py").model
    assert model == resolved("configs/flamingo_9b.py:counts,head128").model
    assert model.language_model and model.language_model.num_layers == 32


@pytest.mark.parametrize("config", [*FLAMINGOS[::2], "configs/ablations/base.py"])
def test_data_and_optimizer_are_those_of_the_paper(config: str) -> None:
    run = resolved(config)
    rows = {
        d.name: (d.loss_weight, d.max_text_length, d.max_images, d.num_frames, d.p_next)
        for d in run.data
    }
    assert rows == {
        "m3w": (1.0, 256, 5, 1, 0.5),
        "align": (0.2, 32, 1, 1, 0.0),
        "ltip": (0.2, 64, 1, 1, 0.0),
        "vtp": (0.03, 32, 1, 8, 0.0),
    }
    assert [d.leading_space_probability for d in run.data] == [0.0, 0.5, 0.5, 0.5]
    optimizer = run.optimizer
    assert (optimizer.learning_rate, optimizer.warmup_steps, optimizer.schedule) == (
        1e-4,
        5000,
        "constant",
    )
    assert (optimizer.weight_decay, optimizer.clip_global_norm) == (0.1, 1.0)
    assert optimizer.no_decay == (r"resampler/.*",)
    sizes = [d.batch_size for d in run.data]
    assert [size / sizes[3] for size in sizes] == [4.0, 8.0, 8.0, 1.0]


def test_the_short_schedule_is_that_of_the_ablations() -> None:
    run = resolved("configs/ablations/base.py")
    assert [d.batch_size for d in run.data] == [256, 512, 512, 64]
    assert run.steps * len(run.data) == 1_000_000
    assert resolved("configs/flamingo_3b.py").steps == 500_000


def test_the_80b_takes_the_papers_chips() -> None:
    mesh = resolved("configs/flamingo_80b.py").mesh
    assert mesh.replica * mesh.data * mesh.model == 1536
    assert mesh.model == 16


CHANGES = {
    "data.py": {"data"},
    "gating.py": {"cross_attention"},
    "conditioning.py": {"cross_attention"},
    "placement.py": {"cross_attention"},
    "resampler.py": {"resampler"},
    "resampler_size.py": {"resampler"},
    "attention.py": {"cross_attention"},
    "p_next.py": {"data"},
    "vision_encoder.py": {"vision_encoder"},
    "language_model.py": {"frozen"},
    "unfreeze_vision.py": {"unfrozen"},
    "unfreeze_language_model.py": {"unfrozen"},
    "co_training.py:random": {"data", "unfrozen"},
    "co_training.py:pretrained": {"data", "unfrozen", "optimizer"},
    "public_data.py": {"data", "vision_encoder"},
    "round_robin.py": {"round_robin", "steps"},
    "base.py": set(),
}


@pytest.mark.parametrize("config", ROWS)
def test_a_row_changes_one_thing(config: str) -> None:
    row = config.rpartition("/")[2]
    expected = CHANGES.get(row, CHANGES.get(row.partition(":")[0]))
    assert differing(config, "configs/ablations/base.py") == expected


def test_co_training_adds_text_and_slows_the_pretrained_language_model() -> None:
    base = resolved("configs/ablations/base.py")
    for row, rates in (("random", []), ("pretrained", [0.1])):
        run = resolved(f"configs/ablations/co_training.py:{row}")
        assert run.unfrozen.language_model == row
        assert run.data[:-1] == base.data
        text = run.data[-1]
        assert (text.loss_weight, text.max_text_length, text.max_images) == (1.0, 2048, 0)
        assert [rate.scale for rate in run.optimizer.rate_scales] == rates
    paths = list(flatten(abstract_parameters(run)))
    slow = {path for path in paths if re.fullmatch(run.optimizer.rate_scales[0].paths[0], path)}
    assert slow == {path for path in paths if "language_model" in path.split("/")}
    assert 0 < len(slow) < len(paths)


def abstract_parameters(run: RunConfig) -> Any:
    return jax.eval_shape(build.build_flamingo(run.model).init, jax.random.key(0))


def test_the_base_is_the_3b_with_other_batches_and_chips() -> None:
    found = differing("configs/ablations/base.py", "configs/flamingo_3b.py")
    assert found == {"data", "mesh", "steps"}


def differing(config: str, other: str) -> set[str]:
    """Top-level fields in which two configs differ."""
    first, second = load(config).to_dict(), load(other).to_dict()
    assert first.keys() == second.keys()
    return {name for name in first if first[name] != second[name]}


def test_rows_of_a_file_differ_from_each_other() -> None:
    texts = [repr(load(config).to_dict()) for config in ROWS]
    assert len(set(texts)) == len(texts)


def test_numbers_that_are_copied_from_the_models_are_the_same() -> None:
    assert RESAMPLER_SIZES["mlp"]["mlp_width"] == resampler_rows.MLP_WIDTH
    for row, name in (
        ("resampler.py:mlp", "mlp"),
        ("resampler.py:transformer", "transformer"),
        ("resampler_size.py:small", "small"),
        ("resampler_size.py:large", "large"),
        ("base.py", "medium"),
    ):
        written = load(f"configs/ablations/{row}")["resampler"].to_dict()
        assert written | RESAMPLER_SIZES[name] == written
    known = {*NFNET_VARIANTS, *CLIP_VARIANTS} - {"nfnet_tiny", "clip_vit_tiny"}
    assert set(contrastive.VISION_ENCODERS) == known


@pytest.mark.parametrize("config", ["configs/language_model.py", "configs/language_model.py:70B"])
def test_a_language_model_of_any_size_is_a_matter_of_overrides(config: str) -> None:
    fields = load(config)
    sizes = {"num_layers": 8, "width": 512, "num_heads": 8, "head_dim": 64}
    fields.language_model.update(sizes)
    model = resolve(fields).model.language_model
    assert model and dataclasses.asdict(model) | sizes == dataclasses.asdict(model)


PROGRAM = """
from flamingo_jax import command_line

def main(config, workdir):
    model = config.model
    print(model.cross_attention.every, model.resampler.head_dim, config.unfrozen.language_model)
    return 0

command_line.run(main)
"""


def test_the_command_line_takes_arguments_with_commas_and_overrides_of_parts() -> None:
    arguments = [
        "--config=configs/flamingo_9b.py:table4,head96",
        "--config.cross_attention.every=8",
        "--config.data[3].microbatches=1",
        "--config.unfrozen.language_model=random",
        "--workdir=runs/x",
    ]
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "8 96 random\n"


def test_a_batch_that_does_not_divide_is_named() -> None:
    fields = load("configs/flamingo_80b.py")
    fields.mesh.data = 36
    with pytest.raises(UserError, match=r"data\[m3w\].*multiple of mesh.replica \* mesh.data 108"):
        resolve(fields)
