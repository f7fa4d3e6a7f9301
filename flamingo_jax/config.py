"""The run's configuration: resolved once from a config file, frozen from there on.

A config file (`configs/*.py`) is data: `get_config(stage) -> ConfigDict`, on which command-line
overrides land. `resolve` turns the result into the dataclasses below, computes what follows from
other fields, and checks everything; below this file there is no ConfigDict. `to_json` and
`from_json` are exact inverses, so the `config.json` of a run folder is the config of the run.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from typing import Any

from flamingo_jax.config_benchmark import BenchmarkConfig as BenchmarkConfig
from flamingo_jax.config_data import SPLITS
from flamingo_jax.config_data import AugmentationConfig as AugmentationConfig
from flamingo_jax.config_data import DatasetConfig as DatasetConfig
from flamingo_jax.config_data import SourceOptions as SourceOptions
from flamingo_jax.config_fields import build, check, check_choice, replace
from flamingo_jax.config_model import CrossAttentionConfig as CrossAttentionConfig
from flamingo_jax.config_model import LanguageModelConfig as LanguageModelConfig
from flamingo_jax.config_model import ModelConfig as ModelConfig
from flamingo_jax.config_model import PrecisionConfig as PrecisionConfig
from flamingo_jax.config_model import ResamplerConfig as ResamplerConfig
from flamingo_jax.config_model import TextTowerConfig as TextTowerConfig
from flamingo_jax.config_model import VisionConfig as VisionConfig
from flamingo_jax.config_model import derive_sizes
from flamingo_jax.config_optimizer import ClipGroup as ClipGroup
from flamingo_jax.config_optimizer import OptimizerConfig as OptimizerConfig
from flamingo_jax.config_optimizer import RateGroup as RateGroup
from flamingo_jax.core.errors import UserError

STAGES = ("contrastive", "language_model", "flamingo")
SELECTIONS = ("random", "rices")
UNFROZEN = ("", "pretrained", "random")
NO_SELECTION = "none"
CONFIG_HASH_DIGITS = 12


@dataclasses.dataclass(frozen=True, kw_only=True)
class MeshConfig:
    """Devices of a run in three axes, and what is split over them beside weights and batches.

    Attributes:
      replica: groups of devices that each hold all of the state; the batch is split over them.
      data: devices of a group over which the batch is split, and the optimizer state.
      model: devices over which the weights of a layer are split (Megatron-LM).
      shard_optimizer: splits the optimizer state over `data` (ZeRO-1).
      shard_frozen: splits the frozen parameters over `data` too; every layer gathers its own.
    """

    replica: int = 1
    data: int = 1
    model: int = 1
    shard_optimizer: bool = True
    shard_frozen: bool = False

    def __post_init__(self) -> None:
        for name in ("replica", "data", "model"):
            check(getattr(self, name) >= 1, f"mesh.{name}", getattr(self, name), "at least 1")


@dataclasses.dataclass(frozen=True, kw_only=True)
class CheckpointConfig:
    """A checkpoint every `every_steps` steps and at the end; the newest `keep` stay."""

    every_steps: int
    keep: int = 2

    def __post_init__(self) -> None:
        check(self.every_steps >= 1, "checkpoint.every_steps", self.every_steps, "at least 1")
        check(self.keep >= 1, "checkpoint.keep", self.keep, "at least 1")


@dataclasses.dataclass(frozen=True, kw_only=True)
class UnfrozenConfig:
    """Parts that Flamingo trains instead of freezing them (ablations of the paper).

    Attributes:
      vision_encoder: "" leaves it frozen; "pretrained" trains it from where `frozen` says that it
        lies, "random" from scratch.
      language_model: likewise.
    """

    vision_encoder: str = ""
    language_model: str = ""

    def __post_init__(self) -> None:
        check_choice("unfrozen.vision_encoder", self.vision_encoder, UNFROZEN)
        check_choice("unfrozen.language_model", self.language_model, UNFROZEN)


@dataclasses.dataclass(frozen=True, kw_only=True)
class FrozenConfig:
    """Run folders of the stages that Flamingo's frozen parts come from.

    Empty: the folders `contrastive` and `language_model` of the run's own workdir.
    """

    vision_encoder: str = ""
    language_model: str = ""


@dataclasses.dataclass(frozen=True, kw_only=True)
class MoreQueries:
    """More queries than usual for one number (with real and with swapped pictures).

    Attributes:
      task: as in results.jsonl.
      shots: number of shots.
      selection: "random", "rices", or "none" (0 shots, and tasks that take no shots).
      num_queries: how many.
    """

    task: str
    shots: int
    selection: str
    num_queries: int

    def __post_init__(self) -> None:
        field = "evaluation.more_queries"
        check_choice(f"{field}.selection", self.selection, (*SELECTIONS, NO_SELECTION))
        check(
            (self.selection == NO_SELECTION) == (self.shots == 0),
            f"{field}.selection",
            f"{self.selection!r} with {self.shots} shots",
            f"{NO_SELECTION!r} with 0 shots and only there",
        )
        check(self.num_queries >= 2, f"{field}.num_queries", self.num_queries, "at least 2")


@dataclasses.dataclass(frozen=True, kw_only=True)
class EvaluationConfig:
    """What `flamingo_jax.evaluate` measures.

    Attributes:
      tasks: task names, as in results.jsonl ("captioning", "naming", ...), those of `benchmarks`
        among them.
      shots: numbers of shots; 0 means two text-only examples (paper, section 4.2).
      selections: how shots are chosen: "random", "rices".
      split: scans that queries and support are made from.
      num_queries: queries for each number; at least 2, since the control swaps their pictures. Of
        a benchmark at most all that it has.
      more_queries: numbers that take more of them.
      num_support: examples that random selection and RICES choose from.
      batch_size: prompts decoded together.
      beam_width: beams of open-ended decoding.
      length_penalty: exponent of the beam's length normalisation; 0 is the plain sum.
      max_decode_length: tokens generated at most, `<EOC>` included.
      seed: seed of queries, support and selection.
      benchmarks: tasks that are asked from files.
    """

    tasks: tuple[str, ...] = ()
    shots: tuple[int, ...] = (0, 4, 8, 16)
    selections: tuple[str, ...] = SELECTIONS
    split: str = "test"
    num_queries: int = 100
    more_queries: tuple[MoreQueries, ...] = ()
    num_support: int = 256
    batch_size: int = 20
    beam_width: int = 3
    length_penalty: float = 0.0
    max_decode_length: int = 12
    seed: int = 0
    benchmarks: tuple[BenchmarkConfig, ...] = ()

    def __post_init__(self) -> None:
        for name in ("batch_size", "beam_width", "max_decode_length"):
            value = getattr(self, name)
            check(value >= 1, f"evaluation.{name}", value, "at least 1")
        check(self.num_queries >= 2, "evaluation.num_queries", self.num_queries, "at least 2")
        most = max(self.shots, default=0)
        check(
            self.num_support >= max(most, 2),
            "evaluation.num_support",
            self.num_support,
            f"at least {max(most, 2)}, the largest of evaluation.shots",
        )
        check(min(self.shots, default=0) >= 0, "evaluation.shots", self.shots, "none below 0")
        check_choice("evaluation.split", self.split, SPLITS)
        for selection in self.selections:
            check_choice("evaluation.selections", selection, SELECTIONS)


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunConfig:
    """One stage's run.

    Attributes:
      stage: "contrastive", "language_model" or "flamingo".
      seed: seed of the initial parameters.
      steps: updates of the whole run.
      vocabulary: SentencePiece model: a path, or the name of a packaged one.
      data: the datasets, all of which every step visits.
      log_every_steps: steps between two rows of metrics.
      init_from: where the parameters start: a run folder of this stage, a folder of saved
        parameters, or the name of a packaged one; empty: random.
      label_smoothing: of the contrastive softmax (paper, appendix B.1.3: 0.1).
      round_robin: visits one dataset a step, in turn, instead of all of them (ablation of the
        paper, table 3 (ii)).
      data_dir: folder, local or gs://, that relative paths of datasets and benchmarks lie in.
      reader_threads: threads that make the examples of one dataset; 0: one for each core.
    """

    stage: str
    seed: int
    steps: int
    vocabulary: str
    data: tuple[DatasetConfig, ...]
    model: ModelConfig
    optimizer: OptimizerConfig
    checkpoint: CheckpointConfig
    mesh: MeshConfig = MeshConfig()
    log_every_steps: int = 10
    init_from: str = ""
    label_smoothing: float = 0.0
    round_robin: bool = False
    data_dir: str = ""
    reader_threads: int = 0
    frozen: FrozenConfig = FrozenConfig()
    unfrozen: UnfrozenConfig = UnfrozenConfig()
    evaluation: EvaluationConfig = EvaluationConfig()

    def __post_init__(self) -> None:
        check_choice("stage", self.stage, STAGES)
        check(self.steps >= 1, "steps", self.steps, "at least 1")
        check(self.log_every_steps >= 1, "log_every_steps", self.log_every_steps, "at least 1")
        check(self.reader_threads >= 0, "reader_threads", self.reader_threads, "at least 0")
        check(len(self.data) >= 1, "data", "()", "at least one dataset")
        names = [dataset.name for dataset in self.data]
        check(len(set(names)) == len(names), "data", ", ".join(names), "datasets of unique names")
        for dataset in self.data:
            microbatch_size = dataset.batch_size // dataset.microbatches
            parts = self.mesh.replica * self.mesh.data
            check(
                microbatch_size % parts == 0,
                f"data[{dataset.name}].batch_size / microbatches",
                microbatch_size,
                f"a multiple of mesh.replica * mesh.data {parts}",
            )
        self._check_parts()

    def datasets_of_step(self, step: int) -> tuple[DatasetConfig, ...]:
        """The datasets that a step (counted from 0) visits: all, or the one whose turn it is."""
        if not self.round_robin:
            return self.data
        return (self.data[step % len(self.data)],)

    def _check_parts(self) -> None:
        needed = {
            "contrastive": ("vision_encoder", "text_tower", "embedding_width"),
            "language_model": ("language_model",),
            "flamingo": ("vision_encoder", "language_model", "resampler", "cross_attention"),
        }[self.stage]
        for part in needed:
            if not getattr(self.model, part):
                raise UserError(f"config.model.{part} is empty, but stage {self.stage} needs it")


def resolve(config: Mapping[str, Any]) -> RunConfig:
    """Turns a config file's result into the frozen config of the run.

    Args:
      config: a ConfigDict or nested dict with the fields of `RunConfig`, after all overrides.

    Returns:
      The checked config, with every derived value (a 0 that means "as another field says") set.

    Raises:
      UserError: an unknown, missing, mistyped or impossible field; the line names it.
    """
    plain = dict(config.to_dict() if hasattr(config, "to_dict") else config)
    run: RunConfig = build(RunConfig, _gather_model(plain), "config")
    longest = max(dataset.num_frames for dataset in run.data)
    vision_encoder = run.model.vision_encoder
    image_size = vision_encoder.image_size if vision_encoder else 0
    data = tuple(
        replace(
            dataset,
            image_size=dataset.image_size or image_size,
            data_dir=dataset.data_dir or run.data_dir,
        )
        for dataset in run.data
    )
    benchmarks = tuple(
        replace(benchmark, data_dir=benchmark.data_dir or run.data_dir)
        for benchmark in run.evaluation.benchmarks
    )
    return replace(
        run,
        data=data,
        model=derive_sizes(run.model, longest),
        evaluation=replace(run.evaluation, benchmarks=benchmarks),
    )


def _gather_model(fields: Mapping[str, Any]) -> dict[str, Any]:
    """A config file may have the parts of `model` at its top, to be overridden by shorter names."""
    parts = {field.name for field in dataclasses.fields(ModelConfig)} & fields.keys()
    if not parts:
        return dict(fields)
    if "model" in fields:
        raise UserError(f"config.model and config.{min(parts)} are both set: keep one of them")
    rest = {name: value for name, value in fields.items() if name not in parts}
    return rest | {"model": {name: fields[name] for name in parts}}


def to_json(config: RunConfig) -> str:
    """The resolved config as indented JSON, from which `from_json` makes an equal config."""
    return json.dumps(dataclasses.asdict(config), indent=2, sort_keys=True) + "\n"


def from_json(text: str) -> RunConfig:
    """The config that `to_json` wrote.

    Raises:
      UserError: not JSON, or not the fields of this version's config.
    """
    try:
        fields = json.loads(text)
    except json.JSONDecodeError as error:
        raise UserError(f"the saved config is not JSON ({error})") from None
    return resolve(fields)


def to_text(config: RunConfig) -> str:
    """The resolved config for reading: one line `config.path.of.field = value` for every field."""
    return "".join(f"{line}\n" for line in _lines("config", dataclasses.asdict(config)))


def _lines(path: str, value: Any) -> list[str]:
    if isinstance(value, dict):
        return [line for key, child in value.items() for line in _lines(f"{path}.{key}", child)]
    if isinstance(value, tuple) and any(isinstance(item, dict) for item in value):
        return [line for i, child in enumerate(value) for line in _lines(f"{path}[{i}]", child)]
    return [f"{path} = {value!r}"]


def config_hash(config: RunConfig) -> str:
    """12 hexadecimal digits that name the exact resolved config."""
    canonical = json.dumps(dataclasses.asdict(config), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:CONFIG_HASH_DIGITS]
