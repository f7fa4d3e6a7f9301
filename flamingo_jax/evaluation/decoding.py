"""Open-ended answers from a prompt's cache: beam search.

It starts from what `FlamingoFunctions.prefill` returns and is a pure function for one `jax.jit`,
the whole loop included. Prompts are padded on the right and every row counts positions from its own
length, so a batch gives what one-by-one decoding gives. The beams of a prompt are answers in one
row (`models.cache`): the prompt's keys and values are there once, and read once for all beams.

Shape letters: B prompts, W beams, L tokens of an answer, A slots of the answers' cache, V the
logits' columns, C candidates of a beam, K candidates of a prompt.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from flamingo_jax.data import schema
from flamingo_jax.evaluation.top_k import top_k_of_many
from flamingo_jax.models.build import FlamingoFunctions, Params
from flamingo_jax.models.cache import AnswerCache, AnswerPlace, PromptCache, start_answers

BeamSearch = Callable[..., tuple[jax.Array, jax.Array]]


class _Beams(NamedTuple):
    """State of a beam search after `step` tokens.

    Attributes:
        step: int32 [].
        tokens: int32 [B, W, L] of the live beams, best first.
        score: float32 [B, W], their log-likelihoods.
        best_tokens: int32 [B, L], the best finished answer so far, without `<EOC>`.
        best_score: float32 [B], its normalised log-likelihood; -inf if there is none.
        distance: int32 [B, W, A], how far before a beam's last token that of a slot stands;
            negative if it is not of this beam.
        answers: keys and values of all tokens that ever were in a beam, W slots a step.
    """

    step: jax.Array
    tokens: jax.Array
    score: jax.Array
    best_tokens: jax.Array
    best_score: jax.Array
    distance: jax.Array
    answers: AnswerCache


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
        search(params, logits [B, V], cache) -> (tokens int32 [B, L], padding after the answer and
        no `<EOC>`; score float32 [B]). `logits` and `cache` are of `prefill` with room for
        max_length - 1 more tokens.
    """
    search = _Search(
        functions=functions,
        beam_width=beam_width,
        max_length=max_length,
        length_penalty=length_penalty,
    )
    return search.search


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class _Search:
    """A beam search; attributes as the arguments of `make_beam_search`."""

    functions: FlamingoFunctions
    beam_width: int
    max_length: int
    length_penalty: float

    def search(
        self, params: Params, logits_BV: jax.Array, cache: PromptCache
    ) -> tuple[jax.Array, jax.Array]:
        """The best answers and their scores, see `make_beam_search`."""
        B, V = logits_BV.shape
        beams = self._start(cache, B)
        beams = self._advance(beams, jnp.broadcast_to(logits_BV[:, None], (B, self.beam_width, V)))
        beams = jax.lax.while_loop(
            lambda beams: (beams.step < self.max_length) & ~jnp.all(self._is_done(beams)),
            lambda beams: self._go_on(params, cache, beams),
            beams,
        )
        return beams.best_tokens, beams.best_score

    def _start(self, cache: PromptCache, B: int) -> _Beams:
        W, L = self.beam_width, self.max_length
        # The last token is never put in: nothing follows it.
        A = max(W * (L - 1), W)
        return _Beams(
            step=jnp.int32(0),
            tokens=jnp.full((B, W, L), schema.PAD_ID, jnp.int32),
            # All beams are the same prompt: only the first may go on, the others would repeat it.
            score=jnp.where(jnp.arange(W) == 0, 0.0, jnp.full((B, W), -jnp.inf)),
            best_tokens=jnp.full((B, L), schema.PAD_ID, jnp.int32),
            best_score=jnp.full((B,), -jnp.inf),
            distance=jnp.full((B, W, A), -1),
            answers=start_answers(cache, A),
        )

    def _go_on(self, params: Params, cache: PromptCache, beams: _Beams) -> _Beams:
        """Puts the last tokens into the model, and adds one more."""
        B, W, A = beams.distance.shape
        token_BW = jax.lax.dynamic_index_in_dim(
            beams.tokens, beams.step - 1, axis=2, keepdims=False
        )
        slot = W * (beams.step - 1)
        is_own_WA = jnp.arange(A) == slot + jnp.arange(W)[:, None]
        distance = jnp.where(beams.distance < 0, -1, beams.distance + 1)
        distance = jnp.where(is_own_WA, 0, distance)
        place = AnswerPlace(jnp.full((B, W), beams.step - 1), distance, slot)
        logits_BWV, answers = self.functions.go_on(params, token_BW, place, cache, beams.answers)
        return self._advance(beams._replace(distance=distance, answers=answers), logits_BWV)

    def _advance(self, beams: _Beams, logits_BWV: jax.Array) -> _Beams:
        """One more token."""
        W = self.beam_width
        score_BK, source_BK, token_BK = self._continuations(beams, logits_BWV)
        is_end_BK = token_BK == self.functions.end_of_chunk_id
        best_tokens_BL, best_score_B = self._best_finished(beams, score_BK, source_BK, is_end_BK)
        live_BW = jax.lax.top_k(jnp.where(is_end_BK, -jnp.inf, score_BK), W)[1]
        source_BW = jnp.take_along_axis(source_BK, live_BW, axis=1)
        token_BW = jnp.take_along_axis(token_BK, live_BW, axis=1)
        return _Beams(
            step=beams.step + 1,
            tokens=_rows(beams.tokens, source_BW).at[:, :, beams.step].set(token_BW),
            score=jnp.take_along_axis(jnp.where(is_end_BK, -jnp.inf, score_BK), live_BW, axis=1),
            best_tokens=best_tokens_BL,
            best_score=best_score_B,
            # A beam goes on with the slots of the beam that it came from; nothing else moves.
            distance=_rows(beams.distance, source_BW),
            answers=beams.answers,
        )

    def _continuations(
        self, beams: _Beams, logits_BWV: jax.Array
    ) -> tuple[jax.Array, jax.Array, jax.Array]:
        """The 2W best of each prompt, best first: log-likelihood, beam and token, each [B, K]."""
        B, W, V = logits_BWV.shape
        end_id = self.functions.end_of_chunk_id
        # The best of every beam first, so that nothing else is as wide as the vocabulary.
        C = min(2 * W, V)
        best_BWC, token_BWC = top_k_of_many(logits_BWV, C)
        is_last = beams.step == self.max_length - 1
        is_only = is_last & (jnp.arange(C) == 0)
        best_BWC = jnp.where(is_last, -jnp.inf, best_BWC)
        best_BWC = jnp.where(is_only, logits_BWV[..., end_id, None], best_BWC)
        token_BWC = jnp.where(is_only, end_id, token_BWC)
        total_BW1 = jax.nn.logsumexp(logits_BWV, axis=-1, keepdims=True)
        score_BWC = beams.score[..., None] + (best_BWC - total_BW1)
        score_BK, flat_BK = jax.lax.top_k(score_BWC.reshape(B, -1), 2 * W)
        token_BK = jnp.take_along_axis(token_BWC.reshape(B, -1), flat_BK, axis=1)
        return score_BK, flat_BK // C, token_BK

    def _best_finished(
        self, beams: _Beams, score_BK: jax.Array, source_BK: jax.Array, is_end_BK: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        """The best finished answers [B, L] and their scores [B], with those that end now."""
        is_among_best_K = jnp.arange(score_BK.shape[1]) < self.beam_width
        ended_BK = jnp.where(
            is_end_BK & is_among_best_K, self._normalise(score_BK, beams.step + 1), -jnp.inf
        )
        ended_B1 = jnp.argmax(ended_BK, axis=1)[:, None]
        score_B = jnp.take_along_axis(ended_BK, ended_B1, axis=1)[:, 0]
        source_B1 = jnp.take_along_axis(source_BK, ended_B1, axis=1)
        is_better_B = score_B > beams.best_score
        tokens_BL = _rows(beams.tokens, source_B1)[:, 0]
        best_tokens_BL = jnp.where(is_better_B[:, None], tokens_BL, beams.best_tokens)
        return best_tokens_BL, jnp.maximum(score_B, beams.best_score)

    def _is_done(self, beams: _Beams) -> jax.Array:
        """Whether no live beam of a prompt can come to beat its best finished answer: [B]."""
        # Log-likelihoods only fall, so a beam is worth most at once or at the full length.
        best_live_B = beams.score[:, 0]
        bound_B = jnp.maximum(
            self._normalise(best_live_B, beams.step + 1),
            self._normalise(best_live_B, jnp.int32(self.max_length)),
        )
        return beams.best_score >= bound_B

    def _normalise(self, score: jax.Array, num_tokens: jax.Array) -> jax.Array:
        return score / jnp.asarray(num_tokens, jnp.float32) ** self.length_penalty


def _rows(x_BWL: jax.Array, index_BW: jax.Array) -> jax.Array:
    """Picks rows of the second axis: [B, W, L], [B, W'] -> [B, W', L]."""
    return jnp.take_along_axis(x_BWL, index_BW[..., None], axis=1)
