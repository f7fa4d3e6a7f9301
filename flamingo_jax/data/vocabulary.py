"""The SentencePiece vocabulary: text to token ids and back.

Ids 0 to 3 are padding, `<EOS>`, unknown and `<BOS>` (see `schema`), then come the pieces; `<EOC>`
has the first id after them and a learned embedding of its own (paper, v2, section 2.4).

A text is encoded in parts, a tag `<image>` and a chunk at a time, so what a chunk becomes never
depends on what stands in front of it. The vocabulary has no dummy prefix (no space is put in front
of a text) and no piece that goes on over a space or over a tag's brackets; hence parts that meet
there are also what the whole text would be: `encode("<image>Output:") + encode(" red")` equals
`encode("<image>Output: red")`.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import sentencepiece

from flamingo_jax.core.errors import UserError
from flamingo_jax.data import schema

if TYPE_CHECKING:
    import seqio

_PACKAGED = Path(__file__).parent / "vocabularies"
_SUFFIX = ".model"
_END_OF_CHUNK = "<EOC>"


class Vocabulary:
    """Token ids of text.

    Attributes:
        path: the SentencePiece model file.
        size: V, the number of pieces, the four control ids included and `<EOC>` not.
        end_of_chunk_id: the id of `<EOC>`, V.
    """

    def __init__(self, path: Path) -> None:
        """Reads a SentencePiece model.

        Args:
            path: the model file.

        Raises:
            UserError: no such file, no SentencePiece model, or other control ids than `schema`'s.
        """
        if not path.is_file():
            raise UserError(
                f"vocabulary {path} does not exist: give a SentencePiece model's path,"
                f" or the name of a packaged one ({', '.join(packaged())})"
            )
        try:
            self._processor = sentencepiece.SentencePieceProcessor(model_file=str(path))
        except RuntimeError as error:
            raise UserError(f"vocabulary {path} is no SentencePiece model ({error})") from None
        found = tuple(getattr(self._processor, f"{name}_id")() for name in _CONTROL_IDS)
        if found != tuple(_CONTROL_IDS.values()):
            expected = ", ".join(f"{name} {token}" for name, token in _CONTROL_IDS.items())
            raise UserError(f"vocabulary {path} has control ids {found}: expected {expected}")
        self.path = path
        self.size = self._processor.get_piece_size()
        self.end_of_chunk_id = schema.end_of_chunk_id(self.size)

    def encode(self, text: str) -> list[int]:
        """Token ids of a text, each in [2, V): no `<BOS>`, `<EOS>` or `<EOC>` is added."""
        return self._processor.encode(text)

    def decode(self, ids: Iterable[int]) -> str:
        """The text of token ids; padding, `<BOS>`, `<EOS>` and `<EOC>` are left out."""
        silent = (schema.PAD_ID, schema.BOS_ID, schema.EOS_ID, self.end_of_chunk_id)
        return self._processor.decode([int(token) for token in ids if token not in silent])

    def piece(self, token: int) -> str:
        """How a token is written in the vocabulary, to show it: "▁red", "<0x21>", "<EOC>"."""
        if token == self.end_of_chunk_id:
            return _END_OF_CHUNK
        return self._processor.id_to_piece(int(token))

    def for_seqio(self) -> seqio.SentencePieceVocabulary:
        """The same vocabulary for a `seqio.Feature`: its one extra id, V, is that of `<EOC>`."""
        import seqio  # Loads TensorFlow, which takes seconds.

        return seqio.SentencePieceVocabulary(str(self.path), extra_ids=1)


_CONTROL_IDS = {
    "pad": schema.PAD_ID,
    "eos": schema.EOS_ID,
    "unk": schema.UNKNOWN_ID,
    "bos": schema.BOS_ID,
}


def packaged() -> tuple[str, ...]:
    """Names of the vocabularies that come with the package."""
    return tuple(sorted(path.stem for path in _PACKAGED.glob(f"*{_SUFFIX}")))


@functools.lru_cache(maxsize=8)
def load(name_or_path: str) -> Vocabulary:
    """Loads a vocabulary.

    Args:
        name_or_path: the name of a packaged vocabulary ("world") or the path of a model file.

    Returns:
        The vocabulary; the same object for the same name.

    Raises:
        UserError: as `Vocabulary` does.
    """
    if name_or_path in packaged():
        return Vocabulary(_PACKAGED / f"{name_or_path}{_SUFFIX}")
    return Vocabulary(Path(name_or_path).expanduser())
