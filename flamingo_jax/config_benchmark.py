"""The fields of one benchmark: whose files the evaluation reads, and how its prompts are worded."""

from __future__ import annotations

import dataclasses

from flamingo_jax.config_fields import check, check_choice

BENCHMARK_SOURCES = ("coco_captions",)


@dataclasses.dataclass(frozen=True, kw_only=True)
class BenchmarkConfig:
    """A task that is asked from files, beside those of the embedded world.

    The defaults word prompts as the paper does. A model that has seen nothing but pairs is asked
    with `lead = ""` and `text_examples = 0`: its 0-shot prompt is then the beginning of a pair,
    `<BOS><image>`.

    Attributes:
      name: the task's name in `evaluation.tasks` and in results.jsonl.
      source: what the files are: "coco_captions", COCO's `captions_*.json`.
      annotations: file of the queries. Relative paths lie in `data_dir`.
      images: folder, or tar shards by pattern, in which the pictures of the queries lie.
      support_annotations: file of the examples that shots and text-only examples are chosen from;
        empty: there are none.
      support_images: where their pictures lie; empty: with those of the queries.
      data_dir: folder that relative paths lie in; empty: that of the run.
      lead: text between a picture's tag and the answer; empty: the answer follows the tag at once.
      text_examples: text-only examples of the 0-shot prompt (paper, section 4.2: two).
    """

    name: str
    annotations: str
    images: str
    source: str = "coco_captions"
    support_annotations: str = ""
    support_images: str = ""
    data_dir: str = ""
    lead: str = "Output:"
    text_examples: int = 2

    def __post_init__(self) -> None:
        field = f"evaluation.benchmarks[{self.name}]"
        check(bool(self.name), "evaluation.benchmarks.name", repr(self.name), "a name")
        check_choice(f"{field}.source", self.source, BENCHMARK_SOURCES)
        for name in ("annotations", "images"):
            value = getattr(self, name)
            check(bool(value), f"{field}.{name}", repr(value), "a path")
        check(self.text_examples >= 0, f"{field}.text_examples", self.text_examples, "at least 0")
