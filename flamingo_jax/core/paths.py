"""Parameter paths, and the one engine that selects parameters by path.

Parameters are Haiku's two-level dicts `{module path: {name: leaf}}`. The path of a leaf is
"module path/name", for example "resampler/layer_0/attention/query/w". Freezing, weight decay,
sharding, weight import and checkpoints all select by such paths with the functions below, so that
one set of rules about matching holds everywhere.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Generic, TypeVar

from flamingo_jax.core.errors import UserError

Leaf = Any
Params = dict[str, dict[str, Leaf]]
Value = TypeVar("Value")


def flatten(params: Mapping[str, Mapping[str, Leaf]]) -> dict[str, Leaf]:
    """Flattens a two-level parameter dict to `{path: leaf}`, sorted by path.

    Args:
      params: `{module path: {name: leaf}}`; leaves may be of any type but mappings.

    Returns:
      `{"module path/name": leaf}` in the sorted order of the paths.

    Raises:
      TypeError: the tree is flatter than two levels.
      ValueError: the tree is deeper than two levels, or a name contains a slash.
    """
    leaves: dict[str, Leaf] = {}
    for module, named_leaves in params.items():
        if not isinstance(named_leaves, Mapping):
            raise TypeError(f"module {module!r} holds a leaf, not a dict of named leaves")
        for name, leaf in named_leaves.items():
            if "/" in name or isinstance(leaf, Mapping):
                raise ValueError(f"{module!r} -> {name!r} is not a leaf of a two-level dict")
            leaves[f"{module}/{name}"] = leaf
    return dict(sorted(leaves.items()))


def unflatten(leaves: Mapping[str, Leaf]) -> Params:
    """The inverse of `flatten`: the last slash of a path parts module and name.

    Args:
      leaves: `{"module path/name": leaf}`.

    Returns:
      `{module path: {name: leaf}}`.

    Raises:
      ValueError: a path without a slash.
    """
    params: Params = {}
    for path, leaf in leaves.items():
        module, slash, name = path.rpartition("/")
        if not slash:
            raise ValueError(f"path {path!r} has no module: expected 'module/name'")
        params.setdefault(module, {})[name] = leaf
    return params


class PathRules(Generic[Value]):
    """An ordered list of (regular expression, value); the first full match decides.

    The expression must match the whole path (`re.fullmatch`), so "resampler/.*" does not match
    "my_resampler/w", and a rule for "w" does not silently catch "b/w".
    """

    def __init__(self, rules: Iterable[tuple[str, Value]], name: str = "path rules") -> None:
        """Compiles the rules.

        Args:
          rules: (regular expression, value) pairs in order of precedence.
          name: what the rules are, for error messages ("sharding rules").

        Raises:
          UserError: an expression that does not compile.
        """
        self._name = name
        self._rules: list[tuple[re.Pattern[str], Value]] = []
        for pattern, value in rules:
            try:
                self._rules.append((re.compile(pattern), value))
            except re.error as error:
                raise UserError(f"{name}: {pattern!r} is no regular expression: {error}") from None

    def match(self, path: str) -> Value:
        """The value of the first rule that matches the whole path.

        Raises:
          UserError: no rule matches.
        """
        return self._rules[self._index(path)][1]

    def covers(self, path: str) -> bool:
        """Whether some rule matches the whole path."""
        return any(pattern.fullmatch(path) for pattern, _ in self._rules)

    def assign(self, paths: Iterable[str]) -> dict[str, Value]:
        """Gives every path its value, and checks the rules against the paths in both directions.

        Args:
          paths: the paths of a model, for example `flatten(params)`.

        Returns:
          `{path: value}` in the order of `paths`.

        Raises:
          UserError: a path that no rule matches, or a rule that decides no path (it matches none,
            or earlier rules take all that it matches). Both are how a misspelt rule shows.
        """
        chosen = {path: self._index(path) for path in paths}
        used = set(chosen.values())
        for index, (pattern, _) in enumerate(self._rules):
            if index not in used:
                raise UserError(
                    f"{self._name}: rule {pattern.pattern!r} decides no parameter;"
                    " correct its expression, its place in the order, or remove it"
                )
        return {path: self._rules[index][1] for path, index in chosen.items()}

    def _index(self, path: str) -> int:
        for index, (pattern, _) in enumerate(self._rules):
            if pattern.fullmatch(path):
                return index
        raise UserError(
            f"{self._name}: no rule matches parameter {path!r}; add a rule that covers it"
        )


def partition(
    params: Mapping[str, Mapping[str, Leaf]], selects: Callable[[str], bool]
) -> tuple[Params, Params]:
    """Splits parameters by path, for example into trainable and frozen.

    Args:
      params: `{module path: {name: leaf}}`.
      selects: whether the leaf of a path ("module/name") belongs to the first part.

    Returns:
      (selected, rest): two dicts of the same form with disjoint paths; `merge` joins them again.
      A module whose leaves all went to the other part does not appear.
    """
    selected: dict[str, Leaf] = {}
    rest: dict[str, Leaf] = {}
    for path, leaf in flatten(params).items():
        (selected if selects(path) else rest)[path] = leaf
    return unflatten(selected), unflatten(rest)


def merge(*trees: Mapping[str, Mapping[str, Leaf]]) -> Params:
    """Joins parameter dicts with disjoint paths, the inverse of `partition`.

    Args:
      *trees: two-level dicts; they may share modules, but no "module/name".

    Returns:
      One two-level dict that holds every leaf.

    Raises:
      ValueError: a path that stands in two of the trees.
    """
    leaves: dict[str, Leaf] = {}
    for tree in trees:
        for path, leaf in flatten(tree).items():
            if path in leaves:
                raise ValueError(f"parameter {path!r} stands in two of the trees to be merged")
            leaves[path] = leaf
    return unflatten(dict(sorted(leaves.items())))
