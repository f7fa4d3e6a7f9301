"""A scanner that takes the longest match over many patterns, as generated lexers do.

Python's `re` takes the first alternative that matches; a tokenizer that is defined by the longest
one cannot be written with it. Here all patterns run at the same time as one automaton, whose states
are made when a text first reaches them.

The language of the patterns is in scanner_patterns.py.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from flamingo_jax.evaluation.metrics.scanner_patterns import Node, Parser, Predicate


@dataclasses.dataclass(frozen=True)
class Rule:
    """A kind of token.

    Attributes:
      pattern: what the token looks like.
      context: what must stand behind it; it counts for which match is the longest, and is not part
        of the token. Of several ways to divide a match, the one with the longest token is taken.
    """

    pattern: str
    context: str = ""


class Match(NamedTuple):
    """The rule that matches the longest piece of the text, the first one if several do."""

    rule: int
    end: int


class Scanner:
    """Finds tokens; safe to use from several threads, which at worst make a state twice."""

    def __init__(
        self,
        rules: Sequence[Rule],
        patterns: Mapping[str, str],
        sets: Mapping[str, Predicate],
    ) -> None:
        """Reads the patterns.

        Args:
          rules: the kinds of tokens; on a tie the first one wins.
          patterns: patterns by the name under which others refer to them.
          sets: sets of characters by name.

        Raises:
          ValueError: a pattern is malformed or refers to a name that is not there.
        """
        self._rules = rules
        parser = Parser(patterns, sets)
        self._all = _Automaton(
            parser, [(rule.pattern, rule.context) for rule in rules], parser.predicates
        )
        self._parts = {
            number: (
                _Automaton(parser, [(rule.pattern, "")], parser.predicates),
                _Automaton(parser, [(rule.context, "")], parser.predicates),
            )
            for number, rule in enumerate(rules)
            if rule.context
        }

    def match(self, text: str, start: int) -> Match | None:
        """The token that begins at `start`.

        Args:
          text: the text.
          start: where to look, before the end of the text.

        Returns:
          Which rule, and where its token ends; None if no rule matches even one character.
        """
        longest = self._all.longest(text, start)
        if longest is None:
            return None
        if longest.rule not in self._parts:
            return longest
        token, context = self._parts[longest.rule]
        for end in reversed(token.ends(text, start, longest.end)):
            if longest.end in context.ends(text, end, longest.end):
                return Match(longest.rule, end)
        raise AssertionError("a match of pattern and context can be divided")


class _State:
    """A state of the automaton: the rules that are accepted in it, and where characters lead."""

    __slots__ = ("positions", "accepted", "by_character")

    def __init__(self, positions: frozenset[int], accepted: int | None) -> None:
        self.positions = positions
        self.accepted = accepted
        self.by_character: dict[str, _State | None] = {}


class _Automaton:
    """Alternatives as a graph of positions, walked as sets of positions."""

    def __init__(
        self, parser: Parser, rules: Sequence[tuple[str, str]], predicates: Sequence[Predicate]
    ) -> None:
        self._predicates = predicates
        # Per position: what it leads to without reading, and (set, position) pairs for reading.
        self._free: list[list[int]] = []
        self._reading: list[list[tuple[int, int]]] = []
        self._accepts: dict[int, int] = {}
        start = self._position()
        for number, parts in enumerate(rules):
            end = self._position()
            self._free[start].append(end)
            for part in parts:
                if part:
                    end = self._add(parser.parse(part), end)
            self._accepts[end] = number
        self._states: dict[frozenset[int], _State] = {}
        self._members: dict[str, frozenset[int]] = {}
        self._start = self._state({start})

    def longest(self, text: str, start: int) -> Match | None:
        """The longest match from `start` on."""
        state = self._start
        found = None
        for place in range(start, len(text)):
            following = self._read(state, text[place])
            if following is None:
                break
            state = following
            if state.accepted is not None:
                found = Match(state.accepted, place + 1)
        return found

    def ends(self, text: str, start: int, limit: int) -> list[int]:
        """Where matches from `start` on may end, up to `limit`."""
        found = []
        state = self._start
        for place in range(start, limit):
            following = self._read(state, text[place])
            if following is None:
                break
            state = following
            if state.accepted is not None:
                found.append(place + 1)
        return found

    def _position(self) -> int:
        self._free.append([])
        self._reading.append([])
        return len(self._free) - 1

    def _read(self, state: _State, character: str) -> _State | None:
        if character in state.by_character:
            return state.by_character[character]
        members = self._members.get(character)
        if members is None:
            members = frozenset(n for n, holds in enumerate(self._predicates) if holds(character))
            self._members[character] = members
        reached = {
            target
            for position in state.positions
            for predicate, target in self._reading[position]
            if predicate in members
        }
        following = self._state(reached) if reached else None
        state.by_character[character] = following
        return following

    def _state(self, positions: set[int]) -> _State:
        reached, waiting = set(positions), list(positions)
        while waiting:
            for target in self._free[waiting.pop()]:
                if target not in reached:
                    reached.add(target)
                    waiting.append(target)
        key = frozenset(reached)
        if key not in self._states:
            accepted = [self._accepts[position] for position in key if position in self._accepts]
            self._states[key] = _State(key, min(accepted, default=None))
        return self._states[key]

    def _add(self, node: Node, start: int) -> int:
        """Adds what `node` matches behind position `start`; returns the position behind it."""
        if node.kind == "set":
            end = self._position()
            self._reading[start].append((node.predicate, end))
            return end
        if node.kind == "sequence":
            for part in node.parts:
                start = self._add(part, start)
            return start
        if node.kind == "choice":
            end = self._position()
            for part in node.parts:
                begin = self._position()
                self._free[start].append(begin)
                self._free[self._add(part, begin)].append(end)
            return end
        return self._repeat(node, start)

    def _repeat(self, node: Node, start: int) -> int:
        (part,) = node.parts
        for _ in range(node.least):
            start = self._add(part, start)
        end = self._position()
        if node.most is None:
            loop = self._position()
            self._free[start].append(loop)
            self._free[self._add(part, loop)].append(loop)
            self._free[loop].append(end)
            return end
        self._free[start].append(end)
        for _ in range(node.most - node.least):
            start = self._add(part, start)
            self._free[start].append(end)
        return end
