"""Trains the SentencePiece vocabulary of the quickstart, once; the result is kept in the package.

    python -m flamingo_jax.data.train_vocabulary --output=flamingo_jax/data/vocabularies/world

The corpus is 30,000 texts of the world (seed 0), every fourth line with `<image>` in front as on a
page with pictures, and scikit-learn's documentation. As in the paper, no normalisation takes place
(identity), bytes stand in for what has no piece, the tag is spelled with ordinary pieces (`<`,
`image`, `>`), and `<EOC>` is no piece.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import sentencepiece
from absl import app, flags

from flamingo_jax.data import schema, seeds, text_world
from flamingo_jax.data.sources import documentation

_OUTPUT = flags.DEFINE_string("output", None, "Path of the vocabulary without `.model`.")
_SIZE = flags.DEFINE_integer("size", 1024, "Number of pieces.")
_NUM_WORLD_TEXTS = 30000
_NUM_DOCUMENTATION_TEXTS = 600


def corpus() -> Iterator[str]:
    """Lines of the training corpus."""
    for index in range(_NUM_WORLD_TEXTS):
        text = text_world.document(seeds.generator(0, "vocabulary", "train", index), "train")
        for number, line in enumerate(text.split("\n")):
            yield schema.IMAGE_TAG + line if number % 4 == 0 else line
    for text in documentation.documents()[:_NUM_DOCUMENTATION_TEXTS]:
        for start in range(0, len(text), 2000):
            yield text[start : start + 2000]


def main(argv: Sequence[str]) -> None:
    """Trains and writes the vocabulary."""
    del argv
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=corpus(),
        model_prefix=_OUTPUT.value,
        vocab_size=_SIZE.value,
        model_type="bpe",
        byte_fallback=True,
        normalization_rule_name="identity",
        add_dummy_prefix=False,
        remove_extra_whitespaces=False,
        user_defined_symbols=["\n"],
        pad_id=schema.PAD_ID,
        eos_id=schema.EOS_ID,
        unk_id=schema.UNKNOWN_ID,
        bos_id=schema.BOS_ID,
        character_coverage=0.9995,
        num_threads=1,
        minloglevel=1,
    )


if __name__ == "__main__":
    flags.mark_flag_as_required("output")
    app.run(main)
