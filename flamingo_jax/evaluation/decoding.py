"""Answers from a prompt's cache: beam search for open-ended tasks, ranking for closed ones.

Both start from what `FlamingoFunctions.prefill` returns and are pure functions for one `jax.jit`
each, whole loop included. Prompts are padded on the right and every row counts positions from its
own length, so a batch gives what one-by-one decoding gives.

Shape letters: B prompts, W beams, C candidates, L tokens of an answer, V the logits' columns.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from flamingo_jax.data import schema
from flamingo_jax.models.build import FlamingoFunctions, Params
from flamingo_jax.models.flamingo import Cache, map_rows

BeamSearch = Callable[..., tuple[jax.Array, jax.Array]]
Ranking = Callable[..., jax.Array]


class _Beams(NamedTuple):
    """State of a beam search after `step` tokens.

    Attributes:
        step: int32 [].
        tokens: int32 [B, W, L] of the live beams, best first.
        score: float32 [B, W], their log-likelihoods.
        best_tokens: int32 [B, L], the best finished answer so far, without `<EOC>`.
        best_score: float32 [B], its normalised log-likelihood; -inf if there is none.
        cache: with a row for every beam.
    """

    step: jax.Array
    tokens: jax.Array
    score: jax.Array
    best_tokens: jax.Array
    best_score: jax.Array
    cache: Cache


def make_beam_search(
    functions: FlamingoFunctions, *, beam_width: int, max_length: int, length_penalty: float
) -> BeamSearch:
    """Beam search that stops at `<EOC>` (paper, section 4.2: width 3).

    A step looks at the 2W best continuations of the W live beams. Those that end with `<EOC>` and
    are among the best W are finished answers; the best W that do not end live on. The last step
    leaves no choice but `<EOC>`, so that every answer is finished and scored as a whole. A prompt
    is done when no live beam can come to beat its best finished answer. Of equal scores the better
    beam, then the lower token id, comes first.

    Args:
        functions: the model.
        beam_width: W; 1 is greedy decoding.
        max_length: L, tokens generated at most, `<EOC>` included.
        length_penalty: answers are compared by log-likelihood / (number of tokens)^length_penalty,
            `<EOC>` counted.

    Returns:
        search(params, logits [B, V], cache, length [B], media_index [B]) -> (tokens int32 [B, L],
        padding after the answer and no `<EOC>`; score float32 [B]). `logits` and `cache` are of
        `prefill` with room for max_length - 1 more tokens, `length` is the prompts', `media_index`
        the answers' phi.
    """
    W, L = beam_width, max_length
    end_id = functions.end_of_chunk_id

    def normalise(score: jax.Array, num_tokens: jax.Array) -> jax.Array:
        return score / jnp.asarray(num_tokens, jnp.float32) ** length_penalty

    def is_done(beams: _Beams) -> jax.Array:
        # Log-likelihoods only fall, so a beam is worth most at once or at the full length.
        best_live_B = beams.score[:, 0]
        bound_B = jnp.maximum(
            normalise(best_live_B, beams.step + 1), normalise(best_live_B, jnp.int32(L))
        )
        return beams.best_score >= bound_B

    def advance(beams: _Beams, logits_BWV: jax.Array) -> tuple[_Beams, jax.Array]:
        """One more token; returns the beams and which beam [B, W] each came from."""
        B, _, V = logits_BWV.shape
        score_BWV = beams.score[..., None] + jax.nn.log_softmax(logits_BWV)
        may_follow = (jnp.arange(V) == end_id) | (beams.step < L - 1)
        score_BWV = jnp.where(may_follow, score_BWV, -jnp.inf)
        score_BK, flat_BK = jax.lax.top_k(score_BWV.reshape(B, W * V), 2 * W)
        source_BK, token_BK = flat_BK // V, flat_BK % V
        is_end_BK = token_BK == end_id

        ended_BK = jnp.where(
            is_end_BK & (jnp.arange(2 * W) < W), normalise(score_BK, beams.step + 1), -jnp.inf
        )
        ended_B = jnp.argmax(ended_BK, axis=1)
        ended_score_B = jnp.take_along_axis(ended_BK, ended_B[:, None], axis=1)[:, 0]
        ended_source_B = jnp.take_along_axis(source_BK, ended_B[:, None], axis=1)[:, 0]
        is_better_B = ended_score_B > beams.best_score
        best_tokens_BL = jnp.where(
            is_better_B[:, None], _rows(beams.tokens, ended_source_B[:, None])[:, 0],
            beams.best_tokens,
        )  # fmt: skip

        live_BW = jax.lax.top_k(jnp.where(is_end_BK, -jnp.inf, score_BK), W)[1]
        source_BW = jnp.take_along_axis(source_BK, live_BW, axis=1)
        token_BW = jnp.take_along_axis(token_BK, live_BW, axis=1)
        tokens_BWL = _rows(beams.tokens, source_BW).at[:, :, beams.step].set(token_BW)
        beams = beams._replace(
            step=beams.step + 1,
            tokens=tokens_BWL,
            score=jnp.take_along_axis(jnp.where(is_end_BK, -jnp.inf, score_BK), live_BW, axis=1),
            best_tokens=best_tokens_BL,
            best_score=jnp.maximum(ended_score_B, beams.best_score),
        )
        return beams, source_BW

    def search(
        params: Params,
        logits_BV: jax.Array,
        cache: Cache,
        length_B: jax.Array,
        media_index_B: jax.Array,
    ) -> tuple[jax.Array, jax.Array]:
        B, V = logits_BV.shape
        first_BW = jnp.repeat(length_B, W)
        phi_BW = jnp.repeat(media_index_B, W)

        def body(beams: _Beams) -> _Beams:
            token_BW = jax.lax.dynamic_index_in_dim(
                beams.tokens, beams.step - 1, axis=2, keepdims=False
            )
            logits, cache = functions.decode_step(
                params, token_BW.reshape(B * W), first_BW + beams.step - 1, phi_BW, beams.cache
            )
            beams, source_BW = advance(beams, logits.reshape(B, W, V))
            source_rows = (jnp.arange(B)[:, None] * W + source_BW).reshape(B * W)
            return beams._replace(cache=_reorder_answers(cache, source_rows, first_BW, L - 1))

        beams = _Beams(
            step=jnp.int32(0),
            tokens=jnp.full((B, W, L), schema.PAD_ID, jnp.int32),
            # All beams are the same prompt: only the first may go on, the others would repeat it.
            score=jnp.where(jnp.arange(W) == 0, 0.0, jnp.full((B, W), -jnp.inf)),
            best_tokens=jnp.full((B, L), schema.PAD_ID, jnp.int32),
            best_score=jnp.full((B,), -jnp.inf),
            cache=map_rows(lambda leaf: jnp.repeat(leaf, W, axis=0), cache),
        )
        beams, _ = advance(beams, jnp.broadcast_to(logits_BV[:, None], (B, W, V)))
        beams = jax.lax.while_loop(
            lambda beams: (beams.step < L) & ~jnp.all(is_done(beams)), body, beams
        )
        return beams.best_tokens, beams.best_score

    return search


def make_ranking(functions: FlamingoFunctions) -> Ranking:
    """Log-likelihoods of given answers, all from one cached prompt.

    Args:
        functions: the model.

    Returns:
        rank(params, logits [B, V], cache, length [B], media_index [B], candidates int32 [C, L]) ->
        float32 [B, C]: the sum of the log-likelihoods of a candidate's tokens, `<EOC>` included.
        Candidates end with `<EOC>` and are padded behind it; the cache has room for L - 1 more
        tokens; the rest as for beam search.
    """

    def rank(
        params: Params,
        logits_BV: jax.Array,
        cache: Cache,
        length_B: jax.Array,
        media_index_B: jax.Array,
        candidates_CL: jax.Array,
    ) -> jax.Array:
        def token_score(logits_BV: jax.Array, token: jax.Array) -> jax.Array:
            return jax.nn.log_softmax(logits_BV)[:, token]

        def score(candidate_L: jax.Array) -> jax.Array:
            def body(
                carry: tuple[jax.Array, Cache], inputs: tuple[jax.Array, jax.Array, jax.Array]
            ) -> tuple[tuple[jax.Array, Cache], None]:
                score_B, cache = carry
                step, token, following = inputs
                logits_BV, cache = functions.decode_step(
                    params, jnp.broadcast_to(token, length_B.shape), length_B + step,
                    media_index_B, cache,
                )  # fmt: skip
                more_B = jnp.where(
                    following == schema.PAD_ID, 0.0, token_score(logits_BV, following)
                )
                return (score_B + more_B, cache), None

            start = (token_score(logits_BV, candidate_L[0]), cache)
            steps = (jnp.arange(len(candidate_L) - 1), candidate_L[:-1], candidate_L[1:])
            return jax.lax.scan(body, start, steps)[0][0]

        return jax.vmap(score, out_axes=1)(candidates_CL)

    return rank


def _rows(x_BWL: jax.Array, index_BW: jax.Array) -> jax.Array:
    """Picks rows of the second axis: [B, W, L], [B, W'] -> [B, W', L]."""
    return jnp.take_along_axis(x_BWL, index_BW[..., None], axis=1)


def _reorder_answers(
    cache: Cache, source_rows: jax.Array, first_slot: jax.Array, num_slots: int
) -> Cache:
    """Makes each row the continuation of another row of the same prompt.

    The prompt's keys and values are the same in all beams of a prompt, and so are the pictures':
    only the slots of generated tokens are copied.

    Args:
        cache: R rows.
        source_rows: int32 [R], the row to take over.
        first_slot: int32 [R], where the answer begins.
        num_slots: how many slots an answer may fill.
    """
    slots = first_slot[:, None] + jnp.arange(num_slots)
    rows = jnp.arange(len(source_rows))[:, None]

    def reorder(leaf: jax.Array) -> jax.Array:  # [G, L, R, S, N, K]
        return leaf.at[:, :, rows, slots].set(leaf[:, :, source_rows[:, None], slots])

    return tuple(part._replace(text=jax.tree.map(reorder, part.text)) for part in cache)
