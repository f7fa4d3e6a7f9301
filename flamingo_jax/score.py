"""Scores a file of predictions with a benchmark's own measure, without a model.

    python -m flamingo_jax.score --metric=cider \
        --annotations=captions_val2014.json --results=results.json
    python -m flamingo_jax.score --metric=vqa --questions=questions.json \
        --annotations=annotations.json --results=results.json --per_item
    python -m flamingo_jax.score --metric=cider --groups=groups.json \
        --annotations=captions_val2014.json --results=results.json

Prints one JSON object: metric, value and stderr (in points: percent, or 100 times CIDEr), n and
confidence_interval; with --groups also how far groups of items are apart
(docs/evaluation_two_tower.md). Formats and metrics: docs/metrics.md. Exit codes: 0; 3 something to
correct (a file, an id, a flag), said in one line. Loads neither JAX nor TensorFlow.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Any

from absl import flags

from flamingo_jax.core.errors import UserError, exit_on_user_error
from flamingo_jax.evaluation.metrics.bootstrap import CONFIDENCE, RESAMPLES, bootstrap
from flamingo_jax.evaluation.metrics.group_difference import group_differences
from flamingo_jax.evaluation.official_formats.groups import Grouped, join_groups
from flamingo_jax.evaluation.official_scores import METRICS, Files, Scored

METRIC = flags.DEFINE_string("metric", None, f"One of {', '.join(METRICS)}.")
ANNOTATIONS = flags.DEFINE_string("annotations", "", "File of what is right.")
RESULTS = flags.DEFINE_string("results", "", "File of what was predicted.")
QUESTIONS = flags.DEFINE_string("questions", "", "File of the questions (vqa; may be left out).")
ADDITIONAL = flags.DEFINE_string("additional", "", "File of further right answers (wups).")
STOP_WORDS = flags.DEFINE_string("stop_words", "", "File of words to leave out (wups).")
WORDNET = flags.DEFINE_string("wordnet", "", "Folder of WordNet 3.0 (wups).")
PER_ITEM = flags.DEFINE_bool("per_item", False, "Prints the score of every item as well.")
GROUPS = flags.DEFINE_string("groups", "", 'File of groups of items: {"image_id": "group"}.')
SEED = flags.DEFINE_integer("seed", 0, "Seed of the bootstrap.")
NUM_RESAMPLES = flags.DEFINE_integer("resamples", RESAMPLES, "Resamples of the bootstrap.")
CONFIDENCE_LEVEL = flags.DEFINE_float(
    "confidence", CONFIDENCE, "Share of the resamples that the confidence interval holds."
)

_EXAMPLE = "--metric=cider --annotations=captions_val2014.json --results=results.json"


@exit_on_user_error
def main(arguments: Sequence[str]) -> None:
    """Scores and prints.

    Args:
      arguments: the program's name and its arguments.

    Raises:
      SystemExit: with code 3 and one line on stderr if something is to be corrected.
    """
    try:
        rest = flags.FLAGS(list(arguments))
    except flags.Error as error:
        raise UserError(str(error)) from error
    if len(rest) > 1:
        raise UserError(f"unexpected argument {rest[1]!r}; for example {_EXAMPLE}")
    metric = METRIC.value or ""
    if metric not in METRICS:
        said = f"--metric={metric} is not known" if metric else "--metric is missing"
        raise UserError(f"{said}; there are {', '.join(METRICS)}")
    if NUM_RESAMPLES.value < 2 or not 0 < CONFIDENCE_LEVEL.value < 1:
        raise UserError("--resamples must be at least 2, and --confidence between 0 and 1")
    scored = METRICS[metric](
        Files(
            annotations=ANNOTATIONS.value,
            results=RESULTS.value,
            questions=QUESTIONS.value,
            additional=ADDITIONAL.value,
            stop_words=STOP_WORDS.value,
            wordnet=WORDNET.value,
        )
    )
    for flag in (PER_ITEM, GROUPS):
        if flag.value and scored.per_item is None:
            raise UserError(
                f"--{flag.name}: {metric} is of all items together; none has its own score"
            )
    grouped = join_groups(GROUPS.value, scored.per_item or ()) if GROUPS.value else None
    for warning in (*scored.warnings, *(grouped.warnings if grouped else ())):
        print(f"warning: {warning}", file=sys.stderr)
    fields = report(metric, scored)
    if grouped is not None:
        fields |= report_groups(grouped)
    print(json.dumps(fields, ensure_ascii=False))


def report(metric: str, scored: Scored) -> dict[str, Any]:
    """What is printed of a score.

    Args:
      metric: its name.
      scored: the score.

    Returns:
      The object to print. Standard error and interval are null where there is one unit to draw.
    """
    fields: dict[str, Any] = {
        "metric": metric,
        "value": scored.value,
        "n": scored.n,
        "stderr": None,
        "confidence_interval": None,
        "confidence": CONFIDENCE_LEVEL.value,
        "resamples": NUM_RESAMPLES.value,
        "seed": SEED.value,
    }
    if scored.num_drawn > 1:
        interval = bootstrap(
            scored.measure,
            scored.num_drawn,
            seed=SEED.value,
            resamples=NUM_RESAMPLES.value,
            confidence=CONFIDENCE_LEVEL.value,
        )
        fields["stderr"] = interval.stderr
        fields["confidence_interval"] = [interval.low, interval.high]
    if PER_ITEM.value and scored.per_item is not None:
        fields["per_item"] = [{"id": key, "value": value} for key, value in scored.per_item]
    return fields


def report_groups(grouped: Grouped) -> dict[str, Any]:
    """What is printed of groups.

    Args:
      grouped: the items that have a group.

    Returns:
      Mean and standard error of each group, and Welch's t-test of every pair of them.

    Raises:
      UserError: there is nothing to compare.
    """
    try:
        found = group_differences(grouped.scores, grouped.groups)
    except ValueError as error:
        raise UserError(f"--groups={GROUPS.value}: {error}") from None
    return {
        "groups": [group._asdict() for group in found.groups],
        "differences": [difference._asdict() for difference in found.differences],
    }


if __name__ == "__main__":
    main(sys.argv)
