"""Closed answers: the log-likelihoods of given candidates, all from one cached prompt.

Shape letters: B prompts, V the logits' columns; those of `candidate_tries`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from flamingo_jax.evaluation.candidate_tries import Plan
from flamingo_jax.models.build import FlamingoFunctions, Params
from flamingo_jax.models.cache import (
    AnswerCache,
    AnswerPlace,
    KeysAndValues,
    PromptCache,
    start_answers,
)

Ranking = Callable[..., jax.Array]

NUM_PERMUTATIONS = 6
"""Orders of the shots that a prompt ensemble has (paper, appendix A.2)."""


def make_ranking(functions: FlamingoFunctions) -> Ranking:
    """Log-likelihoods of the tokens of given answers.

    Args:
        functions: the model.

    Returns:
        rank(params, logits [B, V], cache, plan) -> float32 [B, R + K * E], the log-likelihoods of
        the tokens that the plan's edges lead to. The plan is of B tries, or of one for all prompts.
        `logits` and `cache` are of `prefill` with room for all tokens of a candidate but the last.
    """

    def rank(params: Params, logits_BV: jax.Array, cache: PromptCache, plan: Plan) -> jax.Array:
        B = len(logits_BV)
        plan = Plan(*(jnp.broadcast_to(field, (B, *field.shape[1:])) for field in plan))
        roots_BR = jnp.take_along_axis(jax.nn.log_softmax(logits_BV), plan.root_token, axis=1)
        num_path, num_slots = plan.path.shape[-1], plan.order.shape[-1]

        def score(answers: AnswerCache, chunk: Plan) -> tuple[AnswerCache, jax.Array]:
            answers = _keep(answers, chunk.path, num_slots)
            order_BC = chunk.order[:, num_path:, None]
            is_ancestor = (chunk.order[:, None] <= order_BC) & (order_BC < chunk.end[:, None])
            depth_BC = chunk.depth[:, num_path:]
            distance = jnp.where(is_ancestor, depth_BC[..., None] - chunk.depth[:, None], -1)
            place = AnswerPlace(depth_BC, distance, jnp.int32(num_path))
            logits_BCV, answers = functions.go_on(params, chunk.token, place, cache, answers)
            total_BC = jax.nn.logsumexp(logits_BCV, axis=-1)
            edge = chunk.edge_node * logits_BCV.shape[-1] + chunk.edge_token
            edge_BE = jnp.take_along_axis(logits_BCV.reshape(B, -1), edge, axis=1)
            return answers, edge_BE - jnp.take_along_axis(total_BC, chunk.edge_node, axis=1)

        chunks = plan._replace(root_token=plan.path[..., :0])  # The root is no chunk's.
        _, edges_KBE = jax.lax.scan(
            score,
            start_answers(cache, num_slots),
            jax.tree.map(lambda field: jnp.moveaxis(field, 1, 0), chunks),
        )
        edges_BKE = jnp.moveaxis(edges_KBE, 0, 1)
        return jnp.concatenate([roots_BR, edges_BKE.reshape(B, -1)], axis=1)

    return rank


def _keep(answers: AnswerCache, path_BP: jax.Array, num_slots: int) -> AnswerCache:
    """Slots for the next chunk: the path's are taken over, the others are empty."""

    def keep(leaf: jax.Array, axis: int) -> jax.Array:
        index = jnp.reshape(path_BP, (*[1] * (leaf.ndim - 4), len(path_BP), 1, -1, 1))
        path = jnp.take_along_axis(leaf, jnp.moveaxis(index, -2, axis), axis)
        widths = [(0, 0)] * leaf.ndim
        widths[axis] = (0, num_slots - path_BP.shape[1])
        return jnp.pad(path, widths)

    kept: Any = jax.tree.map(
        lambda node: node.along_positions(keep),
        answers,
        is_leaf=lambda node: isinstance(node, KeysAndValues),
    )
    return kept


def mean_over_permutations(scores: np.ndarray) -> np.ndarray:
    """Prompt ensembling (paper, appendix A.2): the mean log-likelihood of every answer.

    Args:
        scores: [permutations, Q, candidates], of prompts with the same shots in different orders.

    Returns:
        float32 [Q, candidates].
    """
    return np.asarray(np.mean(scores, axis=0, dtype=np.float64), np.float32)
