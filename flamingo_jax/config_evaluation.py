"""The configuration of an evaluation on the paper's benchmarks.

It says what is asked and how; the model comes from the config that its run folder holds. A config
file of this kind has no `stage`, by which `flamingo_jax.evaluate` tells it from that of a run.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from typing import Any

from flamingo_jax.config import CONFIG_HASH_DIGITS, SELECTIONS, MeshConfig
from flamingo_jax.config_fields import build, check, check_choice

SHOWN = ("real", "zeroed", "swapped")
"""What queries are shown: their pictures, black ones, or those of another query."""

REAL = SHOWN[0]

PERMUTATIONS = 6
"""Orders of the shots that closed answers are averaged over (paper, section 4.2)."""

_SEPARATOR = ","


@dataclasses.dataclass(frozen=True, kw_only=True)
class BenchmarkEvaluationConfig:
    """What `flamingo_jax.evaluate` asks a trained Flamingo.

    Lists may be written as one text with commas: "coco,vqav2".

    Attributes:
      tasks: names of benchmarks.
      data_dir: folder that has a folder of files for each benchmark, local or gs://.
      shots: numbers of shots; a benchmark that takes fewer is asked with as many as it takes.
      selections: how shots are chosen: "random", "rices".
      first_seed: seed of the first choice of shots.
      seeds: how many seeds, from `first_seed` on; what draws nothing is asked with the first alone.
      split: "test" (the paper's queries) or "validation" (drawn from the training set).
      num_queries: queries of each benchmark; 0: all.
      num_support: examples that shots are chosen from; 0: all that the benchmark's reader gives,
        2,048 or 32 of each class.
      controls: which of "zeroed" and "swapped" are asked beside the real pictures.
      num_control_queries: queries of each control, and of the loss and attention that are measured
        beside them; 0: as many as `num_queries`.
      ensemble: orders of the shots that the log-likelihood of closed answers is averaged over; 1
        is the order of their choice.
      mean_log_likelihood: ranks closed answers by log-likelihood per token, not by the sum.
      beam_width: beams of open answers.
      length_penalty: exponent of the beam's length normalisation; 0 is the plain sum.
      max_decode_length: tokens of an open answer at most, `<EOC>` included; 0: as the benchmark's
        row says.
      max_prompt_length: tokens of a prompt at most; where a number of shots makes longer ones, the
        benchmark is not asked with so many. The default is what the paper's language models are
        trained with. 0: no limit.
      num_frames: frames of a clip; 0: as the benchmark's row says.
      wordnet: folder of WordNet 3.0, which NExT-QA's measure needs.
      stop_words: file of the words that NExT-QA's measure leaves out, one a line; empty: none.
      templates: folder of the texts that stand for a class in the contrastive model's tasks; empty:
        those that come with the package.
      batch_size: prompts answered together.
      reader_threads: threads that read and decode pictures and clips.
      rescore: computes all numbers anew from the predictions that are there, without a model.
      mesh: devices.
    """

    tasks: tuple[str, ...]
    data_dir: str = ""
    shots: tuple[int, ...] = (0, 4, 32)
    selections: tuple[str, ...] = ("random",)
    first_seed: int = 0
    seeds: int = 1
    split: str = "test"
    num_queries: int = 0
    num_support: int = 0
    controls: tuple[str, ...] = ("zeroed", "swapped")
    num_control_queries: int = 256
    ensemble: int = 1
    mean_log_likelihood: bool = False
    beam_width: int = 3
    length_penalty: float = 0.0
    max_decode_length: int = 0
    max_prompt_length: int = 2048
    num_frames: int = 0
    wordnet: str = ""
    stop_words: str = ""
    templates: str = ""
    batch_size: int = 8
    reader_threads: int = 4
    rescore: bool = False
    mesh: MeshConfig = MeshConfig()

    def __post_init__(self) -> None:
        for name in ("tasks", "shots", "selections"):
            value = getattr(self, name)
            check(len(value) > 0, name, "empty", "at least one")
            check(len(set(value)) == len(value), name, value, "each once")
        for name in ("seeds", "ensemble", "beam_width", "batch_size", "reader_threads"):
            check(getattr(self, name) >= 1, name, getattr(self, name), "at least 1")
        for name in (
            "first_seed", "num_support", "max_decode_length", "max_prompt_length", "num_frames",
        ):  # fmt: skip
            check(getattr(self, name) >= 0, name, getattr(self, name), "at least 0")
        # The error of a mean, and the control that swaps pictures, need two queries.
        for name in ("num_queries", "num_control_queries"):
            value = getattr(self, name)
            check(value == 0 or value >= 2, name, value, "0 (all) or at least 2")
        check(min(self.shots) >= 0, "shots", self.shots, "none below 0")
        for selection in self.selections:
            check_choice("selections", selection, SELECTIONS)
        for control in self.controls:
            check_choice("controls", control, SHOWN[1:])

    @property
    def shown(self) -> tuple[str, ...]:
        """Real pictures, and the controls."""
        return (REAL, *(control for control in SHOWN[1:] if control in self.controls))


# What changes no answer: which answers are asked for, where the files lie, and how the work is cut.
_OF_THE_RUN = (
    "tasks", "data_dir", "shots", "selections", "first_seed", "seeds", "num_queries", "controls",
    "num_control_queries", "max_prompt_length", "wordnet", "stop_words", "batch_size",
    "reader_threads", "rescore", "mesh",
)  # fmt: skip


def resolve_evaluation(config: Mapping[str, Any]) -> BenchmarkEvaluationConfig:
    """Turns a config file's result into the frozen config of an evaluation.

    Args:
      config: a ConfigDict or nested dict with the fields of `BenchmarkEvaluationConfig`, after all
        overrides.

    Raises:
      UserError: an unknown, missing, mistyped or impossible field; the line names it.
    """
    fields = dict(config.to_dict() if hasattr(config, "to_dict") else config)
    for name in ("tasks", "selections", "controls"):
        if isinstance(fields.get(name), str):
            words = (word.strip() for word in fields[name].split(_SEPARATOR))
            fields[name] = tuple(word for word in words if word)
    resolved: BenchmarkEvaluationConfig = build(BenchmarkEvaluationConfig, fields, "config")
    return resolved


def evaluation_hash(config: BenchmarkEvaluationConfig) -> str:
    """12 hexadecimal digits that name all of a config that answers depend on."""
    fields = dataclasses.asdict(config)
    for name in _OF_THE_RUN:
        del fields[name]
    canonical = json.dumps(fields, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:CONFIG_HASH_DIGITS]
