"""Examples of text alone: documents between `<BOS>` and `<EOS>`, one or several in a row.

The language model's stage learns from these, and so does the Flamingo stage where it is trained on
text beside pictures.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import seqio

from flamingo_jax.config import DatasetConfig
from flamingo_jax.data import schema, seeds
from flamingo_jax.data.ops import pack, pad, window
from flamingo_jax.data.sources.source import Content, RawExample, Source
from flamingo_jax.data.tasks import examples
from flamingo_jax.data.tasks.examples import Output, Outputs, Reading
from flamingo_jax.data.vocabulary import Vocabulary

# Characters that are turned into tokens for each token that there is room for. A token is 2.4
# characters of English long in the packaged vocabulary, and between 4 and 5 in one of 32,000
# pieces, so that a long document always fills its row.
_CHARACTERS_PER_TOKEN = 6


def outputs(dataset: DatasetConfig, source: Source) -> Outputs:
    """What an example holds."""
    del source
    length = (dataset.max_text_length,)
    arrays = {
        schema.TEXT: Output(dtype=np.int32, shape=length),
        schema.LOSS_WEIGHT: Output(dtype=np.float32, shape=length),
    }
    if dataset.documents_per_row > 1:
        arrays[schema.SEGMENT] = Output(dtype=np.int32, shape=length)
    return arrays


def make_task(
    dataset: DatasetConfig, source: Source, vocabulary: Vocabulary, reading: Reading
) -> seqio.Task:
    """The task of a dataset of texts."""
    length, stream = dataset.max_text_length, f"{source.name}/window"
    begins_word_V = window.word_starts(vocabulary)

    def assemble(position: int, raws: Sequence[RawExample]) -> Mapping[str, np.ndarray]:
        random = seeds.generator(dataset.seed, stream, dataset.split, position)

        def tokens(raw: RawExample) -> np.ndarray:
            (text,), ends = raw.chunks, True
            if source.content is Content.LONG_TEXT:
                text, ends = window.random_window(text, _CHARACTERS_PER_TOKEN * length, random)
            return window.document_tokens(text, ends, vocabulary)

        def cut(tokens_T: np.ndarray, share: int) -> np.ndarray:
            if source.content is Content.LONG_TEXT:
                return window.random_tokens(tokens_T, share, begins_word_V, random)
            return window.first_tokens(tokens_T, share)

        row = pack.pack([tokens(raw) for raw in raws], length, cut)
        arrays = {schema.TEXT: row.text, schema.LOSS_WEIGHT: pad.loss_weight(row.text)}
        if dataset.documents_per_row > 1:
            arrays[schema.SEGMENT] = row.segment
        return arrays

    return examples.make_task(
        "language_model",
        dataset,
        source,
        vocabulary,
        outputs(dataset, source),
        assemble,
        reading,
        examples_per_row=dataset.documents_per_row,
    )
