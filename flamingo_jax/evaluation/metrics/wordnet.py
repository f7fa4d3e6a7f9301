"""WordNet from its own files: base forms of words, and Wu-Palmer similarity.

Reads the folder `dict` of Princeton's WordNet 3.0 (`index.noun`, `data.noun`, `noun.exc` and so
on), which Debian and Ubuntu have as the package wordnet-base in /usr/share/wordnet, and NLTK as the
corpus `wordnet`. Similarities are those of NLTK's reader, tie-breaks included.
"""

from __future__ import annotations

import dataclasses
import functools
import os
from pathlib import Path

from flamingo_jax.core.errors import UserError
from flamingo_jax.evaluation.metrics.penn_treebank import tokenize

_FILES = {"n": "noun", "v": "verb", "a": "adj", "r": "adv"}
# Endings that a form of each part of speech may have, and what stands in the base form instead.
_ENDINGS = {
    "n": "s: ses:s ves:f xes:x zes:z ches:ch shes:sh men:man ies:y",
    "v": "s: ies:y es:e es: ed:e ed: ing:e ing:",
    "a": "er: est: er:e est:e",
    "r": "",
}
_PARTICIPLE = "ing"
_AUXILIARIES = frozenset({"be", "have", "do"})
_STEMS = {"else": "els", "his": "hi", "others": "other"}
"""What pywsd makes of words that WordNet does not know, while it knows their Porter stem: all such
among some 250 function words. (That "hi" is like other nouns then counts in WUPS.)"""
_ROOT = "*ROOT*"
"""Stands above all verbs, adjectives and adverbs, which have no common root as nouns have."""


@dataclasses.dataclass(frozen=True, eq=False)
class _Sense:
    """A synset: its name as NLTK has it ("dog.n.01"), its part of speech, what it is a kind of."""

    name: str
    part: str
    kinds: tuple[int, ...]


class WordNet:
    """An open WordNet; a `Lexicon` for `wups`. Safe to use from several threads."""

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        """Opens WordNet.

        Args:
          folder: the folder with `index.noun` and the others.

        Raises:
          UserError: a file is missing or is not WordNet's.
        """
        self._folder = Path(folder)
        missing = [
            name
            for part in _FILES.values()
            for name in (f"index.{part}", f"data.{part}", f"{part}.exc")
            if not (self._folder / name).is_file()
        ]
        if missing:
            raise UserError(
                f"--wordnet={folder}: there is no file {missing[0]} of WordNet 3.0 in it; install"
                " WordNet (on Debian and Ubuntu: apt-get install wordnet-base, then"
                " --wordnet=/usr/share/wordnet), or name the folder corpora/wordnet of an NLTK"
                " installation that has it"
            )
        data = {part: self._folder / f"data.{file}" for part, file in _FILES.items()}
        self._data = {part: path.read_bytes() for part, path in data.items()}
        self._index = {part: self._read_index(file) for part, file in _FILES.items()}
        self._exceptions = {part: self._read_exceptions(file) for part, file in _FILES.items()}
        # Per instance, so that two WordNets do not share senses.
        self._sense = functools.cache(self._read_sense)
        self._depths = functools.cache(self._find_depths)

    def base_forms(self, sentence: str) -> list[str]:
        """The base forms of a sentence's words; punctuation is left out.

        Comes near to pywsd, which lets a trained tagger guess the part of speech first. A word is
        taken for a verb if it is a form in -ing, or one of be, have and do; else for a noun if it
        can be the form of one, for a verb, an adjective, an adverb. What WordNet does not know
        stays as it is, or is its stem.

        Args:
          sentence: a text.
        """
        return [self._base_form(word) for word in tokenize(sentence)]

    def similarity(self, first: str, second: str) -> float:
        """Wu-Palmer similarity of the first senses of two words.

        Args:
          first: a word or one of its forms.
          second: another.

        Returns:
          0 to 1; 0 where a word is unknown or the senses have nothing in common.
        """
        senses = self._first_sense(first), self._first_sense(second)
        if senses[0] is None or senses[1] is None:
            return 0.0
        return self._wu_palmer(senses[0], senses[1])

    def _base_form(self, word: str) -> str:
        as_verb = self._forms(word, "v")
        is_verb = word.endswith(_PARTICIPLE) or not _AUXILIARIES.isdisjoint(as_verb)
        for part in ("v", *_FILES) if is_verb else _FILES:
            forms = self._forms(word, part)
            if forms:
                # The shortest, as NLTK's lemmatizer takes it.
                return min(forms, key=len)
        return _STEMS.get(word, word)

    def _first_sense(self, word: str) -> tuple[str, int] | None:
        """Part of speech and place in its file of a word's first sense."""
        for part in _FILES:
            for form in self._forms(word.lower(), part):
                return part, self._index[part][form][0]
        return None

    def _forms(self, word: str, part: str) -> list[str]:
        """The words of WordNet that `word` may be a form of, itself first."""
        index = self._index[part]
        if word in self._exceptions[part]:
            return _known([word, *self._exceptions[part][word]], index)
        candidates = [word]
        while True:
            stems = _without_endings(candidates, part)
            found = _known([*candidates, *stems], index)
            if found or not stems:
                return found
            candidates = stems

    def _wu_palmer(self, first: tuple[str, int], second: tuple[str, int]) -> float:
        """Similarity of two senses, each a part of speech and a place."""
        paths = self._paths(*first), self._paths(*second)
        needs_root = first[0] != "n" or second[0] != "n"
        nodes = {name: node for name, node in paths[0][1].items() if name in paths[1][1]}
        common = {name: self._depths(*node)[0] for name, node in nodes.items()}
        if needs_root:
            common[_ROOT] = 0
        if not common:
            return 0.0
        # Twice the depth of the lowest common kind over the lengths of both ways to the root. Depth
        # is that of the longest way up, the lowest kind is found by the shortest, as in NLTK.
        own = self._sense(*first).name
        deepest = max(common.values())
        lowest = sorted(name for name, depth in common.items() if depth == deepest)
        name = own if own in lowest else lowest[0]
        if name == _ROOT:
            depth, distances = 1, [max(path.values()) + 1 for path, _ in paths]
        else:
            depth = self._depths(*nodes[name])[1] + 1
            distances = [self._distance(path, nodes[name], needs_root) for path, _ in paths]
        return 2.0 * depth / (sum(distances) + 2 * depth)

    def _distance(self, path: dict[str, int], node: tuple[str, int], needs_root: bool) -> int:
        """Fewest steps from where `path` begins to `node`, by way of anything above both."""
        above, _ = self._paths(*node)
        steps = [path[name] + steps for name, steps in above.items() if name in path]
        if needs_root:
            steps.append(max(path.values()) + 1 + max(above.values()) + 1)
        return min(steps)

    def _paths(self, part: str, place: int) -> tuple[dict[str, int], dict[str, tuple[str, int]]]:
        """What is above a sense, itself included: fewest steps to each name, and where it is."""
        steps: dict[str, int] = {}
        nodes: dict[str, tuple[str, int]] = {}
        waiting = [(place, 0)]
        while waiting:
            following = []
            for at, depth in waiting:
                sense = self._sense(part, at)
                if sense.name not in steps:
                    steps[sense.name], nodes[sense.name] = depth, (part, at)
                    following += [(kind, depth + 1) for kind in sense.kinds]
            waiting = following
        return steps, nodes

    def _find_depths(self, part: str, place: int) -> tuple[int, int]:
        """Fewest and most steps up to a sense that is a kind of nothing."""
        kinds = [self._depths(part, kind) for kind in self._sense(part, place).kinds]
        if not kinds:
            return 0, 0
        return 1 + min(low for low, _ in kinds), 1 + max(high for _, high in kinds)

    def _read_sense(self, part: str, place: int) -> _Sense:
        data = self._data[part]
        fields = data[place : data.index(b"\n", place)].decode("utf-8").split(" | ")[0].split()
        lemma = fields[4].split("(")[0].lower()
        num_words = int(fields[3], 16)
        # A number of words, the words with a number each, a number of pointers, the pointers.
        begin = 5 + 2 * num_words
        pointers = fields[begin : begin + 4 * int(fields[begin - 1])]
        kinds = tuple(
            int(pointers[start + 1])
            for sign in ("@", "@i")
            for start in range(0, len(pointers), 4)
            if pointers[start] == sign
        )
        number = self._index[part][lemma].index(place) + 1
        return _Sense(f"{lemma}.{fields[2]}.{number:02d}", part, kinds)

    def _read_index(self, file: str) -> dict[str, list[int]]:
        """{word: where its senses are in the data file, the most frequent one first}."""
        senses = {}
        for line in (self._folder / f"index.{file}").read_text(encoding="utf-8").splitlines():
            if line.startswith(" "):
                continue  # The licence.
            fields = line.split()
            try:
                senses[fields[0]] = [int(place) for place in fields[-int(fields[2]) :]]
            except (IndexError, ValueError):
                raise UserError(
                    f"--wordnet={self._folder}: index.{file} is not WordNet's: {line[:60]!r}"
                ) from None
        return senses

    def _read_exceptions(self, file: str) -> dict[str, list[str]]:
        """{irregular form: its base forms}."""
        lines = (self._folder / f"{file}.exc").read_text(encoding="utf-8").splitlines()
        return {form: bases for form, *bases in (line.split() for line in lines if line.strip())}


def _known(forms: list[str], index: dict[str, list[int]]) -> list[str]:
    return list(dict.fromkeys(form for form in forms if form in index))


def _without_endings(forms: list[str], part: str) -> list[str]:
    endings = [pair.split(":") for pair in _ENDINGS[part].split()]
    return [
        form[: len(form) - len(old)] + new
        for form in forms
        for old, new in endings
        if form.endswith(old)
    ]
