"""Our decoding as a competitor: `python -m benchmarks.ours_decoding SIZE THREADS BATCH NEW_TOKENS`.

Prefill, beam search and ranking are the library's own; layers are apart, as `Answerer` has them on
CPU.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks import decoding_process, ours
from benchmarks.decoding_process import BEAM, BEAMS, CLASSES_IN_FULL, GREEDY, RANK, RANK_FULL
from benchmarks.sizes import Size
from flamingo_jax.evaluation.candidate_tries import make_trie, plan_tries
from flamingo_jax.evaluation.decoding import make_beam_search
from flamingo_jax.evaluation.ranking import make_ranking
from flamingo_jax.models import build
from flamingo_jax.models.language_model import output_logits

TOKENS_OF_A_CHUNK = 512  # as in `evaluation.answering`


class Decoder:
    """One model, and the work that is asked of it."""

    def __init__(self, size: Size, batch: int, new_tokens: int) -> None:
        """Makes the parameters."""
        self.size, self.batch, self.new_tokens = size, batch, new_tokens
        config = ours.model_config(size)
        self.functions = build.build_flamingo(config)
        self.params = ours.parameters(size)
        self.apart = self.functions.layers_apart(self.params)

    def prepare(self, method: str, shots: int) -> Callable[[], int]:
        """The work of one order, see `decoding_process.serve`."""
        if method in (RANK, RANK_FULL):
            make = self.scores_from_cache if method == RANK else self.scores_in_full
            scores = make(shots)
            return lambda: len(scores())
        return self._generate(shots, {GREEDY: 1, BEAM: BEAMS}[method])

    def _generate(self, shots: int, beams: int) -> Callable[[], int]:
        prompts = decoding_process.prompts(self.size, shots, self.batch)
        prefill = self._prefill(prompts, self.new_tokens)
        search = jax.jit(
            make_beam_search(
                self.functions, beam_width=beams, max_length=self.new_tokens, length_penalty=0.0
            )
        )

        def run() -> int:
            tokens_BL = np.asarray(search(self.apart, *prefill())[0])
            # The last token is the end of the answer, and no answer may end before.
            if not tokens_BL[:, :-1].all():
                raise RuntimeError("an answer ended early: the comparison would be of less work")
            return tokens_BL.size

        return run

    def scores_from_cache(self, shots: int) -> Callable[[], np.ndarray]:
        """Log-likelihoods of all classes, from one cached prompt."""
        prompts = decoding_process.prompts(self.size, shots, 1)
        end = self.functions.end_of_chunk_id
        trie = make_trie([(*name, end) for name in decoding_process.classes(self.size)])
        plan, [columns] = plan_tries([trie], TOKENS_OF_A_CHUNK)
        prefill = self._prefill(prompts, decoding_process.MAX_CLASS_TOKENS)
        rank = jax.jit(make_ranking(self.functions))

        def run() -> np.ndarray:
            edges = np.asarray(rank(self.apart, *prefill(), plan))[0]
            return trie.totals(edges[columns])

        return run

    def _prefill(
        self, prompts: decoding_process.Prompts, room: int
    ) -> Callable[[], tuple[jax.Array, object]]:
        T = prompts.text.shape[1]
        compute = jax.jit(self.functions.prefill, static_argnums=5)
        length = np.full(len(prompts.text), T, np.int32)
        arguments = (prompts.text, length, prompts.picture, jnp.asarray(prompts.latents), T + room)
        return lambda: compute(self.apart, *arguments)

    def scores_in_full(self, shots: int) -> Callable[[], np.ndarray]:
        """Log-likelihoods of the first classes, each behind the whole prompt.

        Logits are computed where they are needed, and nowhere else.
        """
        prompts = decoding_process.prompts(self.size, shots, 1)
        end = self.functions.end_of_chunk_id
        T, L, count = prompts.text.shape[1], decoding_process.MAX_CLASS_TOKENS, CLASSES_IN_FULL
        names = [(*name, end) for name in decoding_process.classes(self.size)[:count]]
        text = np.zeros((count, T + L), np.int32)
        text[:, :T] = prompts.text
        for row, name in enumerate(names):
            text[row, T : T + len(name)] = name
        picture = np.pad(np.tile(prompts.picture, (count, 1)), ((0, 0), (0, L)), mode="edge")

        @jax.jit
        def scores(params: build.Params, latents: jax.Array) -> jax.Array:
            shape = (count, *latents.shape[1:])
            x_BTD, embeddings = self.functions.activations(
                params, jnp.asarray(text), jnp.asarray(picture), jnp.broadcast_to(latents, shape)
            )
            x_BLD = x_BTD[:, T - 1 : -1]
            logits_BLV = jnp.concatenate([output_logits(x_BLD, rows) for rows in embeddings], -1)
            logp_BLV = jax.nn.log_softmax(logits_BLV)
            picked_BL = jnp.take_along_axis(logp_BLV, text[:, T:, None], axis=2)[..., 0]
            return jnp.sum(jnp.where(text[:, T:] > 0, picked_BL, 0.0), axis=1)

        return lambda: np.asarray(scores(self.params, prompts.latents))


def main() -> None:
    """Serves the work of one size."""
    size, _, batch, new_tokens = decoding_process.arguments(sys.argv[1:])
    decoding_process.serve(Decoder(size, batch, new_tokens).prepare)


if __name__ == "__main__":
    main()
