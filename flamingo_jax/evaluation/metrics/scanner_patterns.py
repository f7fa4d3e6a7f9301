"""Patterns of a scanner, parsed: a small language that is defined by the longest match.

A letter stands for itself in either case; `[a-z_]` and `[^...]` are sets of characters and mind
case; `(`, `)`, `|`, `*`, `+`, `?`, `{2,3}` as usual; `{NAME}` is another pattern or a set, by name;
a backslash takes the meaning from the character behind it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping

Predicate = Callable[[str], bool]
"""Says whether a character belongs to a set."""


@dataclasses.dataclass(frozen=True)
class Node:
    """A parsed pattern: a `set`, or a `sequence`, `choice` or `repeat` of parts."""

    kind: str
    parts: tuple[Node, ...] = ()
    predicate: int = 0
    least: int = 0
    most: int | None = None


class Parser:
    """Reads patterns by recursive descent; equal sets share one number."""

    def __init__(self, patterns: Mapping[str, str], sets: Mapping[str, Predicate]) -> None:
        self.predicates: list[Predicate] = []
        self._patterns = patterns
        self._sets = sets
        self._numbers: dict[str, int] = {}
        self._parsed: dict[str, Node] = {}

    def parse(self, pattern: str) -> Node:
        """Parses a pattern.

        Raises:
          ValueError: it is malformed.
        """
        if pattern not in self._parsed:
            node, place = self._choice(pattern, 0)
            if place != len(pattern):
                raise ValueError(f"unmatched {pattern[place]!r} at {place} of {pattern!r}")
            self._parsed[pattern] = node
        return self._parsed[pattern]

    def _choice(self, pattern: str, place: int) -> tuple[Node, int]:
        parts = []
        while True:
            node, place = self._sequence(pattern, place)
            parts.append(node)
            if pattern[place : place + 1] != "|":
                break
            place += 1
        return (parts[0] if len(parts) == 1 else Node("choice", tuple(parts))), place

    def _sequence(self, pattern: str, place: int) -> tuple[Node, int]:
        parts = []
        while place < len(pattern) and pattern[place] not in "|)":
            node, place = self._single(pattern, place)
            while pattern[place : place + 1] in ("*", "+", "?") or (
                pattern[place : place + 1] == "{" and pattern[place + 1 : place + 2].isdigit()
            ):
                node, place = self._count(pattern, place, node)
            parts.append(node)
        return Node("sequence", tuple(parts)), place

    def _count(self, pattern: str, place: int, node: Node) -> tuple[Node, int]:
        signs: dict[str, tuple[int, int | None]] = {"*": (0, None), "+": (1, None), "?": (0, 1)}
        if pattern[place] in signs:
            least, most = signs[pattern[place]]
            end = place + 1
        else:
            end = pattern.index("}", place) + 1
            first, _, last = pattern[place + 1 : end - 1].partition(",")
            least, most = int(first), int(last or first)
        return Node("repeat", (node,), least=least, most=most), end

    def _single(self, pattern: str, place: int) -> tuple[Node, int]:
        sign = pattern[place]
        if sign == "(":
            node, place = self._choice(pattern, place + 1)
            if pattern[place : place + 1] != ")":
                raise ValueError(f"a bracket is not closed in {pattern!r}")
            return node, place + 1
        if sign == "{":
            end = pattern.index("}", place)
            return self._named(pattern[place + 1 : end]), end + 1
        if sign == "[":
            return self._bracketed(pattern, place)
        if sign in "*+?":
            raise ValueError(f"nothing to repeat at {place} of {pattern!r}")
        if sign == "\\":
            place += 1
        letter = pattern[place]
        cases = {letter, letter.lower(), letter.upper()}
        return self._set(f"letter {letter.lower()}", cases.__contains__), place + 1

    def _named(self, name: str) -> Node:
        if name in self._sets:
            return self._set(f"set {name}", self._sets[name])
        if name not in self._patterns:
            raise ValueError(f"no pattern and no set has the name {name!r}")
        return self.parse(self._patterns[name])

    def _bracketed(self, pattern: str, place: int) -> tuple[Node, int]:
        begin = place
        place += 1
        is_negated = pattern[place] == "^"
        place += is_negated
        ranges: list[tuple[str, str]] = []
        while pattern[place] != "]":
            first, place = self._bracketed_letter(pattern, place)
            last = first
            if pattern[place] == "-" and pattern[place + 1] != "]":
                last, place = self._bracketed_letter(pattern, place + 1)
            ranges.append((first, last))

        def holds(character: str) -> bool:
            return is_negated != any(first <= character <= last for first, last in ranges)

        return self._set(f"brackets {pattern[begin:place]}", holds), place + 1

    @staticmethod
    def _bracketed_letter(pattern: str, place: int) -> tuple[str, int]:
        if pattern[place] == "\\":
            place += 1
        return pattern[place], place + 1

    def _set(self, key: str, predicate: Predicate) -> Node:
        if key not in self._numbers:
            self._numbers[key] = len(self.predicates)
            self.predicates.append(predicate)
        return Node("set", predicate=self._numbers[key])
