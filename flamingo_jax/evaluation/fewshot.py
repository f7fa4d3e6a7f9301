"""Which support pictures become the shots of a query, and the prompts that come of it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from flamingo_jax.core.errors import UserError
from flamingo_jax.data.vocabulary import Vocabulary
from flamingo_jax.evaluation import rices
from flamingo_jax.evaluation.prompts import Prompt, make_prompt
from flamingo_jax.evaluation.task import Task

RANDOM = "random"
RICES = "rices"
NONE = "none"


def select(
    task: Task, index: int, shots: int, selection: str, similarity_QS: np.ndarray
) -> list[int]:
    """Chooses the shots of query `index`.

    They depend on the query's number, the task and its seed alone: not on the other queries, nor
    on batches or hosts.

    Args:
      task: says which rows may be chosen, in groups.
      index: number of the query.
      shots: how many.
      selection: `RANDOM` (evenly from all groups, in random order) or `RICES`.
      similarity_QS: cosine of each query with each support picture; read by RICES alone.

    Returns:
      Rows of the support in the order of the prompt.

    Raises:
      UserError: the support has too few pictures for the query.
    """
    groups = task.groups(index)
    if selection == RICES:
        rows = rices.nearest(similarity_QS[index], np.concatenate(groups), shots)
    else:
        rows = _deal(task.generator("selection", index), groups, shots)
    if len(rows) < shots:
        raise UserError(
            f"config.evaluation.num_support is {task.num_support}, too few for {shots} shots of"
            f" {task.name}"
        )
    return rows


def _deal(random: np.random.Generator, groups: Sequence[np.ndarray], shots: int) -> list[int]:
    """Draws from all groups evenly, without putting back; fewer if a group runs out."""
    shuffled = [iter(random.permutation(group)) for group in groups]
    dealt = random.permutation(np.arange(shots) % len(groups))
    drawn = (next(shuffled[group], None) for group in dealt)
    return [int(row) for row in drawn if row is not None]


def make_prompts(
    task: Task,
    vocabulary: Vocabulary,
    num_queries: int,
    shots: int,
    selection: str,
    similarity_QS: np.ndarray,
) -> list[Prompt]:
    """The prompts of queries 0 to `num_queries` - 1.

    Pictures are numbered with the support first: row r of the support is picture r, query q is
    picture num_support + q.

    Args:
      task: the task.
      vocabulary: of the language model.
      num_queries: how many.
      shots: pictures with text in front of the query; 0 takes the task's text-only examples.
      selection: see `select`.
      similarity_QS: see `select`.
    """
    prompts = []
    for index in range(num_queries):
        rows = select(task, index, shots, selection, similarity_QS) if shots else []
        prompts.append(
            make_prompt(
                vocabulary,
                shots=[(row, task.shot_text(index, row)) for row in rows],
                query=(task.num_support + index, task.query(index).lead),
                text_examples=() if shots else task.text_examples(index),
            )
        )
    return prompts
