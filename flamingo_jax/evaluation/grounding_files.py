"""What shows whether answers come from the pictures: the loss of right answers, and attention.

Of the first queries of a benchmark, those that the controls ask, a line each: with real pictures
and with those of the controls, so that the three compare the same queries. Numbers are computed
from these lines, without a model.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from flamingo_jax.core.files import write_atomic
from flamingo_jax.evaluation import results
from flamingo_jax.evaluation.predictions import Origin, claim
from flamingo_jax.evaluation.query_lines import QueryLine, QueryLines, check_fields, read_lines
from flamingo_jax.evaluation.scoring import Score, summarise

GROUNDING = "grounding"
"""Folder of these lines in that of a run."""

ATTENTION = "attention.jsonl"
"""File of the mean attention by picture, a line for each way of asking."""

LOSS = "loss"

_PERCENT = 100.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Grounding(QueryLine):
    """One query's line: its loss, and attention of the prompt's last token in fractions of 1.

    Attributes:
      reference: the right answer that a shot would tell; empty if it is not given out.
      loss: its negative log-likelihood per token, `<EOC>` included, in nats; None without it.
      cross_attention: on the visual tokens of each picture, those of the shots in the order of the
        prompt and last the query's. Empty where pictures are not the real ones, as all that
        follows.
      cross_attention_change: the length of what cross-attention adds, behind its gate, relative to
        that of the activations which it is added to.
      self_attention: on the text of each picture, from its tag to the next one.
      self_attention_before: on the text in front of the first picture.
    """

    reference: str = ""
    loss: float | None = None
    cross_attention: tuple[float, ...] = ()
    cross_attention_change: float | None = None
    self_attention: tuple[float, ...] = ()
    self_attention_before: float | None = None


class GroundingFile(QueryLines[Grounding]):
    """The lines of one way of asking a benchmark; named as its predictions."""

    def __init__(self, folder: Path, origin: Origin) -> None:
        """Opens the file, or makes it.

        Args:
          folder: of all such files; it is made if it is missing.
          origin: of the predictions.

        Raises:
          UserError: there is such a file of something else, or it is damaged.
        """
        self.origin = dataclasses.replace(origin, candidates=())  # They may be thousands.
        super().__init__(claim(folder, self.origin, origin.name), read_groundings)


def read_groundings(path: Path) -> Iterator[Grounding]:
    """The lines of a file in their order; an unfinished last one is passed over.

    Raises:
      UserError: a finished line is none of these, or a query has two.
    """
    return read_lines(path, _parse, "line about a query's grounding")


def _parse(fields: dict[str, Any]) -> Grounding:
    check_fields(fields, Grounding)
    for name in ("cross_attention", "self_attention"):
        fields[name] = tuple(fields[name])
    return Grounding(**fields)


def score_file(path: Path, origin: Origin, limit: int, results_path: Path) -> str:
    """Adds what the lines of a file say to the results of a run.

    Args:
      path: the file.
      origin: what it is of.
      limit: takes the first queries only, as many as were asked; 0: all of the benchmark.
      results_path: `results.jsonl`; means by picture go to `ATTENTION` beside it.

    Returns:
      The loss with its error, or why there is none.

    Raises:
      UserError: the file is damaged.
    """
    num_asked = min(limit or origin.num_queries, origin.num_queries)
    given = sorted(
        (line for line in read_groundings(path) if line.index < num_asked),
        key=lambda line: line.index,
    )
    if len(given) < num_asked:
        return f"{LOSS} of {len(given)} of {num_asked} queries"
    losses = [line.loss for line in given if line.loss is not None]
    # An error needs two; with fewer there is nothing to compare either.
    scores = [summarise(LOSS, np.array(losses))] if len(losses) > 1 else []
    told = f"no {LOSS} without right answers"
    if scores:
        told = f"{LOSS} {scores[0].value:.3f} ± {scores[0].stderr:.3f} (n = {scores[0].n})"
    if given[0].cross_attention:
        scores += attention_scores(given)
        _write_attention(results_path.with_name(ATTENTION), given, origin)
    for score in scores:
        results.append(results_path, origin.result(score))
    return told


def attention_scores(given: Sequence[Grounding]) -> list[Score]:
    """The few numbers of attention that tables show, in percent.

    Args:
      given: lines with attention, two or more.
    """
    numbers = {
        "cross_attention_change": [line.cross_attention_change for line in given],
        "cross_attention_to_query": [line.cross_attention[-1] for line in given],
        "self_attention_to_query": [line.self_attention[-1] for line in given],
    }
    if len(given[0].self_attention) > 1:
        numbers["self_attention_to_shots"] = [sum(line.self_attention[:-1]) for line in given]
    return [
        summarise(metric, _PERCENT * np.array(values, np.float64))
        for metric, values in numbers.items()
    ]


def _write_attention(path: Path, given: Sequence[Grounding], origin: Origin) -> None:
    """Puts the means over queries into the file, in place of those of the same way of asking."""
    way = {name: getattr(origin, name) for name in ("task", "split", "shots", "selection", "seed")}
    means: dict[str, Any] = {"n": len(given)}
    for name in (
        "cross_attention", "cross_attention_change", "self_attention", "self_attention_before"
    ):  # fmt: skip
        means[name] = np.mean([getattr(line, name) for line in given], axis=0).tolist()
    means |= {"config_hash": origin.config_hash, "checkpoint": origin.checkpoint}
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    kept = [line for line in lines if not way.items() <= json.loads(line).items()]
    write_atomic(path, "".join(f"{line}\n" for line in [*kept, json.dumps(way | means)]))
