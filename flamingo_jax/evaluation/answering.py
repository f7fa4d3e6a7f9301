"""Answers of a Flamingo to prompts, batch by batch."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Callable, Sequence

import jax
import numpy as np
from jax.sharding import Mesh

from flamingo_jax.config import EvaluationConfig
from flamingo_jax.data import schema
from flamingo_jax.data.vocabulary import Vocabulary
from flamingo_jax.evaluation.decoding import make_beam_search, make_ranking
from flamingo_jax.evaluation.pictures import fill_up
from flamingo_jax.evaluation.prompts import Prompt, Shape, pad_batch
from flamingo_jax.models.build import FlamingoFunctions, Params
from flamingo_jax.models.flamingo import Cache
from flamingo_jax.sharding.rules import to_global

_BATCHES_IN_FLIGHT = 2


@dataclasses.dataclass(frozen=True, kw_only=True)
class FewShotModel:
    """A trained Flamingo.

    Attributes:
      functions: its functions.
      params: all parameters, placed on `mesh`.
      mesh: of the evaluation.
      vocabulary: of its language model.
      image_size: side of the pictures that it takes, in pixels.
      checkpoint: names it in results.
    """

    functions: FlamingoFunctions
    params: Params
    mesh: Mesh
    vocabulary: Vocabulary
    image_size: int
    checkpoint: str


class Answerer:
    """Answers prompts: prefill, beam search and ranking, each compiled once for every shape."""

    def __init__(self, model: FewShotModel, config: EvaluationConfig) -> None:
        """Compiles nothing yet."""
        self._model = model
        self._batch_size = config.batch_size
        functions = model.functions
        # Room for the answer of either kind of decoding, so that both share one prefill.
        room = config.max_decode_length

        def prefill(params: Params, batch: dict[str, jax.Array]) -> tuple[jax.Array, Cache]:
            return functions.prefill(
                params, batch["text"], batch["length"], batch["media_index"], batch["latents"],
                batch["text"].shape[1] + room,
            )  # fmt: skip

        self._prefill = jax.jit(prefill)
        self._search = jax.jit(
            make_beam_search(
                functions,
                beam_width=config.beam_width,
                max_length=config.max_decode_length,
                length_penalty=config.length_penalty,
            )
        )
        self._rank = jax.jit(make_ranking(functions))

    def generate(
        self, prompts: Sequence[Prompt], latents_NRD: np.ndarray, shape: Shape
    ) -> list[str]:
        """Open-ended answers, without outer spaces."""

        def search(batch: dict[str, jax.Array]) -> jax.Array:
            logits, cache = self._prefill(self._model.params, batch)
            return self._search(
                self._model.params, logits, cache, batch["length"], batch["last_media_index"]
            )[0]

        tokens_QL = self._in_batches(search, prompts, latents_NRD, shape)
        return [self._model.vocabulary.decode(tokens).strip() for tokens in tokens_QL]

    def rank(
        self,
        prompts: Sequence[Prompt],
        latents_NRD: np.ndarray,
        shape: Shape,
        candidates: Sequence[str],
    ) -> np.ndarray:
        """Log-likelihoods float32 [Q, C] of closed answers."""
        vocabulary = self._model.vocabulary
        answers = [
            [*vocabulary.encode(f" {text}"), vocabulary.end_of_chunk_id] for text in candidates
        ]
        candidates_CL = np.full((len(answers), max(map(len, answers))), schema.PAD_ID, np.int32)
        for row, answer in enumerate(answers):
            candidates_CL[row, : len(answer)] = answer

        def rank(batch: dict[str, jax.Array]) -> jax.Array:
            logits, cache = self._prefill(self._model.params, batch)
            return self._rank(
                self._model.params, logits, cache, batch["length"], batch["last_media_index"],
                candidates_CL,
            )  # fmt: skip

        return self._in_batches(rank, prompts, latents_NRD, shape)

    def _in_batches(
        self,
        function: Callable[[dict[str, jax.Array]], jax.Array],
        prompts: Sequence[Prompt],
        latents_NRD: np.ndarray,
        shape: Shape,
    ) -> np.ndarray:
        """Applies a function to prompts in batches of one size; a row of the result a prompt."""
        pending: collections.deque[jax.Array] = collections.deque()
        rows = []
        for start in range(0, len(prompts), self._batch_size):
            batch = pad_batch(prompts[start : start + self._batch_size], latents_NRD, shape)
            arrays = {
                key: fill_up(array, self._batch_size) for key, array in batch._asdict().items()
            }
            pending.append(function(to_global(self._model.mesh, arrays)))
            # A batch is waited for when the next ones are on their way, and no later, so that
            # memory holds the caches of few.
            if len(pending) == _BATCHES_IN_FLIGHT:
                rows.append(np.asarray(pending.popleft()))
        rows += [np.asarray(result) for result in pending]
        return np.concatenate(rows)[: len(prompts)]
