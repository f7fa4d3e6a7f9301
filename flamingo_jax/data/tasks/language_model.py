"""Examples of the language model's stage: text between `<BOS>` and `<EOS>`."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import seqio

from flamingo_jax.config import DatasetConfig
from flamingo_jax.data import schema, seeds
from flamingo_jax.data.ops import pad, window
from flamingo_jax.data.sources.source import Content, RawExample, Source
from flamingo_jax.data.tasks import examples
from flamingo_jax.data.tasks.examples import Output, Outputs
from flamingo_jax.data.vocabulary import Vocabulary

# Characters of a window for each token that there is room for. A token of the packaged vocabulary
# is 2.4 characters of English long on average, and 3 in the easiest documents, so that a window
# always fills the row, unless the document is shorter.
_CHARACTERS_PER_TOKEN = 4


def outputs(dataset: DatasetConfig, source: Source) -> Outputs:
    """What an example holds."""
    del source
    length = (dataset.max_text_length,)
    return {
        schema.TEXT: Output(dtype=np.int32, shape=length),
        schema.LOSS_WEIGHT: Output(dtype=np.float32, shape=length),
    }


def make_task(
    dataset: DatasetConfig, source: Source, vocabulary: Vocabulary, start: int
) -> seqio.Task:
    """The task of a dataset of texts, from position `start` on."""
    stream = f"{source.name}/window"
    num_characters = _CHARACTERS_PER_TOKEN * dataset.max_text_length

    def assemble(position: int, raw: RawExample) -> Mapping[str, np.ndarray]:
        (text,) = raw.chunks
        ends = True
        if source.content is Content.LONG_TEXT:
            random = seeds.generator(dataset.seed, stream, dataset.split, position)
            text, ends = window.random_window(text, num_characters, random)
        tokens_T = window.document_tokens(text, ends, vocabulary)
        text_T = pad.pad_row(tokens_T, dataset.max_text_length)
        return {schema.TEXT: text_T, schema.LOSS_WEIGHT: pad.loss_weight(text_T)}

    return examples.make_task(
        "language_model", dataset, source, vocabulary, outputs(dataset, source), assemble, start
    )
