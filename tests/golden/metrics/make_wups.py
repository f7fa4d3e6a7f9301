"""Makes wups.json: what NExT-OE's metrics.py says, with NLTK's reader of WordNet files.

    PYTHONPATH=. python tests/golden/metrics/make_wups.py NEXT_OE_METRICS WORDNET

NEXT_OE_METRICS is metrics.py of doc-doc/NExT-OE; WORDNET is a folder of WordNet 3.0 (Debian's
package wordnet-base). NLTK is of version 3.8.1: later ones look up fewer forms of a word. Sentences
are divided at spaces, which is what NLTK's tokenizer makes of them, but needs a download for.
Made with NLTK 3.8.1, WordNet 3.0, Python 3.11. Not run by the tests.
"""

from __future__ import annotations

import importlib.util
import json
import shutil
import sys
import tempfile
from pathlib import Path
from types import ModuleType

import nltk.corpus
import nltk.tokenize
from nltk.corpus.reader import WordNetCorpusReader

from tests.evaluation.metrics import tiny_wordnet

FOLDER = Path(__file__).parent
SENTENCES = [
    "dog", "cat", "a big dog", "dog run", "run", "walk slowly", "eat", "knife", "red knife",
    "the beast eat", "domestic_dog", "dogs", "ran", "unknown", "", "go", "red", "large blade",
    "tool", "unknown dog", "dog dog cat", "pet canine",
]  # fmt: skip
_WORDS = """
    dog cat man woman boy girl baby ball hold throw kick run walk sit stand table chair eat food
    drive car talk laugh smile happy sad red blue big quickly water swim dance sing play toy child
    geese went better men knives two yes bicycle guitar camera pick up put give take xyzzy
"""
WORDS = _WORDS.split()


def reader(folder: Path) -> WordNetCorpusReader:
    """NLTK's reader. Names of files and a map of versions, which it wants, change no similarity."""
    (folder / "lexnames").write_text("".join(f"{n:02d}\tname{n}\t1\n" for n in range(45)))
    WordNetCorpusReader.map_wn30 = lambda *_: None
    return WordNetCorpusReader(str(folder), None)


def metrics(path: str, wordnet: WordNetCorpusReader) -> ModuleType:
    nltk.corpus.wordnet = wordnet
    nltk.tokenize.word_tokenize = str.split
    spec = importlib.util.spec_from_file_location("next_oe_metrics", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def main(path: str, wordnet: str) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        tiny_wordnet.write(folder)
        official = metrics(path, reader(folder))
        tiny = [
            [
                first,
                second,
                official.get_wups(first, second, 0),
                official.get_wups(first, second, 0.9),
            ]
            for first in SENTENCES
            for second in SENTENCES
        ]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "wordnet"
        shutil.copytree(wordnet, folder)
        official = metrics(path, reader(folder))
        pairs = [(WORDS[n], WORDS[(7 * n + 3) % len(WORDS)]) for n in range(len(WORDS))]
        pairs += [(WORDS[n], WORDS[n - 1]) for n in range(len(WORDS))]
        real = [[first, second, official.wup(first, second, 0)] for first, second in pairs]
    content = {"tiny": tiny, "wordnet_3.0": real}
    lines = [f'"{name}": {json.dumps(values)}' for name, values in content.items()]
    (FOLDER / "wups.json").write_text("{" + ",\n".join(lines) + "}\n", encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
