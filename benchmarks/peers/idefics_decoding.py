"""Decoding of Hugging Face's IDEFICS.

`python -m benchmarks.peers.idefics_decoding SIZE THREADS BATCH NEW_TOKENS`. `generate` takes the
resampler's output (`image_hidden_states`) in place of pixels, keeps the keys and values of the text
(`use_cache=True`) and never meets an end of the text. Prompts have one length, so that none is
padded. Its feed-forward blocks are SwiGLU of 8/3 of the width, see `peers.idefics`.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable

import torch

from benchmarks import decoding_process, sizes
from benchmarks.decoding_process import BEAM, BEAMS, CLASSES_IN_FULL, GREEDY, RANK_FULL
from benchmarks.peers import idefics
from benchmarks.sizes import Size

CLASSES_AT_ONCE = 8


class Decoder:
    """One model, and the work that is asked of it."""

    def __init__(self, size: Size, batch: int, new_tokens: int) -> None:
        """Makes the model."""
        torch.manual_seed(sizes.SEED)
        self.size, self.batch, self.new_tokens = size, batch, new_tokens
        self.model = idefics.make(dataclasses.replace(size, length=2048))[0].eval()
        self.model.config.use_cache = True
        generation = self.model.generation_config
        generation.eos_token_id = None
        generation.pad_token_id = 0
        generation.use_cache = True

    def prepare(self, method: str, shots: int) -> Callable[[], int]:
        """The work of one order, see `decoding_process.serve`."""
        if method == RANK_FULL:
            return self._rank_in_full(shots)
        beams = {GREEDY: 1, BEAM: BEAMS}[method]
        text, sees, latents = self._inputs(shots, self.batch)

        def run() -> int:
            with torch.inference_mode():
                tokens = self.model.generate(
                    input_ids=text,
                    attention_mask=torch.ones_like(text),
                    image_hidden_states=latents,
                    image_attention_mask=sees,
                    num_beams=beams,
                    do_sample=False,
                    min_new_tokens=self.new_tokens,
                    max_new_tokens=self.new_tokens,
                )
            return tokens[:, text.shape[1] :].numel()

        return run

    def _inputs(self, shots: int, count: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Text [B, T], which pictures a token sees [B, T, I], and latents [B, I, R, width]."""
        prompts = decoding_process.prompts(self.size, shots, count)
        sees = torch.nn.functional.one_hot(torch.from_numpy(prompts.picture).long(), shots + 2)
        return (
            torch.from_numpy(prompts.text).long(),
            sees[..., 1:],
            torch.from_numpy(prompts.latents),
        )

    def _rank_in_full(self, shots: int) -> Callable[[], int]:
        """Every class behind the whole prompt; logits where they are needed, and nowhere else."""
        prompt, sees, latents = self._inputs(shots, 1)
        L = decoding_process.MAX_CLASS_TOKENS
        names = decoding_process.classes(self.size)[:CLASSES_IN_FULL]
        text = torch.zeros(len(names), prompt.shape[1] + L, dtype=torch.long)
        text[:, : prompt.shape[1]] = prompt
        for row, name in enumerate(names):
            # 3 stands for the end of the answer; the tokens behind it are not counted.
            text[row, prompt.shape[1] :][: len(name) + 1] = torch.tensor([*name, 3])
        sees = torch.cat([sees, sees[:, -1:].expand(-1, L, -1)], dim=1)

        def run() -> int:
            done = 0
            for start in range(0, len(names), CLASSES_AT_ONCE):
                some = text[start : start + CLASSES_AT_ONCE]
                with torch.inference_mode():
                    logits = self.model(
                        input_ids=some,
                        perceiver_embeddings=latents.expand(len(some), -1, -1, -1),
                        image_attention_mask=sees.expand(len(some), -1, -1),
                        logits_to_keep=L + 1,
                        use_cache=False,
                    ).logits[:, :-1]
                    answer = some[:, -L:]
                    picked = logits.log_softmax(-1).gather(-1, answer[..., None])[..., 0]
                    done += len(torch.where(answer > 0, picked, 0.0).sum(-1))
            return done

        return run


def main() -> None:
    """Serves the work of one size."""
    size, threads, batch, new_tokens = decoding_process.arguments(sys.argv[1:])
    torch.set_num_threads(threads)
    decoding_process.serve(Decoder(size, batch, new_tokens).prepare)


if __name__ == "__main__":
    main()
