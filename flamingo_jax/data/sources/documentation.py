"""General English text that is already on every machine: scikit-learn's documentation.

The docstrings of the pinned scikit-learn and the descriptions of its datasets, together some three
million characters of technical English. The release is pinned in requirements.txt, so the text is
the same everywhere.
"""

from __future__ import annotations

import ast
import functools
import pathlib

import sklearn

from flamingo_jax.config import DatasetConfig
from flamingo_jax.data.sources.source import Content, RawExample, Source

MIN_CHARACTERS = 200

# Of every twenty documents, the last but one is for validation and the last for the test.
_PERIOD = 20
_HELD_OUT = {"validation": _PERIOD - 2, "test": _PERIOD - 1}


def source(dataset: DatasetConfig) -> Source:
    """The documents of the dataset's split, by number."""
    texts = documents_of_split(dataset.split)

    def read(index: int) -> RawExample:
        return RawExample(chunks=(texts[index],))

    return Source(
        name=dataset.source, content=Content.LONG_TEXT, read=read, num_examples=len(texts)
    )


def documents_of_split(split: str) -> tuple[str, ...]:
    """The documents of "train", "validation" or "test"; no document is in two of them."""
    if split in _HELD_OUT:
        return documents()[_HELD_OUT[split] :: _PERIOD]
    held_out = set(_HELD_OUT.values())
    return tuple(
        text for number, text in enumerate(documents()) if number % _PERIOD not in held_out
    )


@functools.cache
def documents() -> tuple[str, ...]:
    """Docstrings of modules, classes and functions, and dataset descriptions, sorted by file.

    Texts under `MIN_CHARACTERS` are left out, indentation and line breaks become single spaces,
    and a text that stands more than once is kept once.
    """
    root = pathlib.Path(sklearn.__file__).parent
    texts = [path.read_text("utf-8") for path in sorted(root.glob("datasets/descr/*.rst"))]
    for path in sorted(root.rglob("*.py")):
        if "tests" in path.parts:
            continue
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
                texts.append(ast.get_docstring(node) or "")
    flat = (" ".join(text.split()) for text in texts)
    return tuple(dict.fromkeys(text for text in flat if len(text) >= MIN_CHARACTERS))
