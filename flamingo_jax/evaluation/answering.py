"""Answers of a Flamingo to prompts, batch by batch."""

from __future__ import annotations

import collections
import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from flamingo_jax.config import EvaluationConfig
from flamingo_jax.data.vocabulary import Vocabulary
from flamingo_jax.evaluation.candidate_tries import Plan, make_trie, plan_tries
from flamingo_jax.evaluation.decoding import make_beam_search
from flamingo_jax.evaluation.pictures import fill_up
from flamingo_jax.evaluation.prompts import Prompt, Shape, pad_batch
from flamingo_jax.evaluation.ranking import make_ranking
from flamingo_jax.models.attention_masses import AttentionMasses
from flamingo_jax.models.build import FlamingoFunctions, Params
from flamingo_jax.models.cache import PromptCache
from flamingo_jax.sharding.rules import to_global

_BATCHES_IN_FLIGHT = 2

_TOKENS_OF_A_CHUNK = 512
"""Tokens of candidates that are computed together, those of all prompts of a batch."""

_ROOM = 8
"""Rooms for candidates are multiples of so many tokens, so that few are compiled."""


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

    @functools.cached_property
    def decoding_params(self) -> Params:
        """Parameters for prompts and answers: on CPU with layers apart.

        Slicing layers out of their stacks for every token would be a copy there.
        """
        if any(device.platform != "cpu" for device in self.mesh.devices.flat):
            return self.params
        return self.functions.layers_apart(self.params)


class Answerer:
    """Answers prompts: prefill, beam search and ranking, each compiled once for every shape."""

    def __init__(self, model: FewShotModel, config: EvaluationConfig) -> None:
        """Compiles nothing yet."""
        self._model = model
        self._config = config
        self._batch_size = config.batch_size
        functions = model.functions
        self._params = model.decoding_params

        def prefill(
            params: Params, batch: dict[str, jax.Array], room: int
        ) -> tuple[jax.Array, PromptCache]:
            return functions.prefill(
                params, batch["text"], batch["length"], batch["media_index"], batch["latents"],
                batch["text"].shape[1] + room,
            )  # fmt: skip

        self._prefill = jax.jit(prefill, static_argnums=2)
        self._search = jax.jit(
            make_beam_search(
                functions,
                beam_width=config.beam_width,
                max_length=config.max_decode_length,
                length_penalty=config.length_penalty,
            )
        )
        self._rank = jax.jit(make_ranking(functions))

        def watch(
            params: Params, batch: dict[str, jax.Array], cache: PromptCache
        ) -> AttentionMasses:
            num_media = batch["latents"].shape[1]
            return functions.attention_masses(
                params, batch["text"], batch["media_index"], cache, num_media
            )

        self._watch = jax.jit(watch)

    def generate(
        self, prompts: Sequence[Prompt], latents_NRD: np.ndarray, shape: Shape
    ) -> list[str]:
        """Open-ended answers, without outer spaces."""
        return [text for text, _ in self.generate_scored(prompts, latents_NRD, shape)]

    def generate_scored(
        self, prompts: Sequence[Prompt], latents_NRD: np.ndarray, shape: Shape
    ) -> list[tuple[str, float]]:
        """Open-ended answers with their (normalised) log-likelihoods, `<EOC>` included."""

        def search(batch: dict[str, jax.Array], start: int) -> tuple[jax.Array, jax.Array]:
            del start
            logits, cache = self._prefill(self._params, batch, self._config.max_decode_length)
            tokens, scores = self._search(self._params, logits, cache)
            return tokens, scores

        tokens_QL, scores_Q = self._in_batches(search, prompts, latents_NRD, shape)
        texts = [self._model.vocabulary.decode(tokens).strip() for tokens in tokens_QL]
        return list(zip(texts, map(float, scores_Q), strict=True))

    def rank(
        self,
        prompts: Sequence[Prompt],
        latents_NRD: np.ndarray,
        shape: Shape,
        candidates: Sequence[str],
        *,
        mean: bool = False,
    ) -> np.ndarray:
        """Log-likelihoods of closed answers.

        Args:
            prompts: one or more.
            latents_NRD: visual tokens of the pictures.
            shape: size that prompts are padded to.
            candidates: the answers that all prompts have.
            mean: whether the log-likelihood is divided by the number of tokens, `<EOC>` counted.

        Returns:
            float32 [Q, candidates].
        """
        return np.stack(self._rank_tries(prompts, latents_NRD, shape, [candidates], mean=mean))

    def rank_own(
        self,
        prompts: Sequence[Prompt],
        latents_NRD: np.ndarray,
        shape: Shape,
        candidates: Sequence[Sequence[str]],
        *,
        mean: bool = False,
    ) -> list[np.ndarray]:
        """`rank` where every prompt has candidates of its own: float32 [its candidates] each."""
        if len(candidates) != len(prompts):
            raise ValueError(f"{len(candidates)} lists of candidates for {len(prompts)} prompts")
        return self._rank_tries(prompts, latents_NRD, shape, candidates, mean=mean)

    def attention(
        self, prompts: Sequence[Prompt], latents_NRD: np.ndarray, shape: Shape
    ) -> AttentionMasses:
        """How the first tokens of answers are predicted: attention by picture of each prompt.

        Returns:
            Arrays on the host; pictures up to `shape.num_pictures`, prompts that have fewer do not
            attend to those behind.
        """

        def watch(batch: dict[str, jax.Array], start: int) -> AttentionMasses:
            del start
            _, cache = self._prefill(self._params, batch, _ROOM)
            return self._watch(self._params, batch, cache)

        masses: AttentionMasses = self._in_batches(watch, prompts, latents_NRD, shape)
        return masses

    def _rank_tries(
        self,
        prompts: Sequence[Prompt],
        latents_NRD: np.ndarray,
        shape: Shape,
        candidates: Sequence[Sequence[str]],
        *,
        mean: bool,
    ) -> list[np.ndarray]:
        """Ranks the candidates of each prompt, or those of all where there is one list of them."""
        answers = [[self._answer(text) for text in texts] for texts in candidates]
        tries = [make_trie(some) for some in answers]
        chunk_size = max(_TOKENS_OF_A_CHUNK // self._batch_size, 1)
        plan, columns = plan_tries(tries, chunk_size)
        longest = max(len(answer) for some in answers for answer in some)
        room = -(-longest // _ROOM) * _ROOM

        def rank(batch: dict[str, jax.Array], start: int) -> jax.Array:
            logits, cache = self._prefill(self._params, batch, room)
            rows = plan
            if len(tries) > 1:
                stop = start + self._batch_size
                rows = Plan(*(fill_up(field[start:stop], self._batch_size) for field in plan))
                rows = Plan(**to_global(self._model.mesh, rows._asdict()))
            return self._rank(self._params, logits, cache, rows)

        edges = self._in_batches(rank, prompts, latents_NRD, shape)
        scores = []
        for row, edge_scores in enumerate(edges):
            number = row if len(tries) > 1 else 0
            totals = tries[number].totals(edge_scores[columns[number]])
            if mean:
                totals = totals / np.array([len(answer) for answer in answers[number]])
            scores.append(totals.astype(np.float32))
        return scores

    def _answer(self, text: str) -> list[int]:
        """The tokens of a candidate behind a prompt."""
        vocabulary = self._model.vocabulary
        return [*vocabulary.encode(f" {text}"), vocabulary.end_of_chunk_id]

    def _in_batches(
        self,
        function: Callable[[dict[str, jax.Array], int], Any],
        prompts: Sequence[Prompt],
        latents_NRD: np.ndarray,
        shape: Shape,
    ) -> Any:
        """Applies a function to prompts in batches of one size.

        Args:
            function: (batch, number of its first prompt) -> a row of the result for each prompt;
                or several such results.
            prompts: one or more.
            latents_NRD: visual tokens of the pictures.
            shape: size that prompts are padded to.
        """
        pending: collections.deque[Any] = collections.deque()
        rows = []
        for start in range(0, len(prompts), self._batch_size):
            batch = pad_batch(prompts[start : start + self._batch_size], latents_NRD, shape)
            arrays = {
                key: fill_up(array, self._batch_size) for key, array in batch._asdict().items()
            }
            pending.append(function(to_global(self._model.mesh, arrays), start))
            # A batch is waited for when the next ones are on their way, and no later, so that
            # memory holds the caches of few.
            if len(pending) == _BATCHES_IN_FLIGHT:
                rows.append(jax.tree.map(np.asarray, pending.popleft()))
        rows += [jax.tree.map(np.asarray, result) for result in pending]
        return jax.tree.map(lambda *parts: np.concatenate(parts)[: len(prompts)], *rows)
