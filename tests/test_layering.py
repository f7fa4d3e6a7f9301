"""Who may import whom: the table of docs/architecture.md, held against the source by ast.

Every import counts wherever it stands, in functions and under TYPE_CHECKING too. Two rules look
through our own modules, at what loading a module really loads: `data` never reaches jax, `tables`
neither jax nor TensorFlow; there, imports inside functions do not count.
"""

from __future__ import annotations

import ast
import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]
PACKAGE = "flamingo_jax"
CONFIG, COMMAND_LINE = "config", "command_line"

# Unit -> what of ours it may import, beside itself. A unit is a module or a package with all that
# is below it; the longest name that fits a module is its unit. Below config.py only frozen values
# travel: its dataclasses and what reads and writes them, never `resolve`, which takes a ConfigDict.
ALLOWED: Mapping[str, Sequence[str]] = {
    "core": (),
    "data.schema": (),
    "evaluation.results": (),
    "config_fields": ("core.errors",),
    "config_model": ("config_fields",),
    "config_optimizer": ("config_fields",),
    "config_benchmark": ("config_fields",),
    "config_data": ("config_fields",),
    "config_evaluation": ("config", "config_fields"),
    "config": (
        "config_benchmark", "config_data", "config_fields", "config_model", "config_optimizer",
        "core",
    ),
    "sharding": ("config", "core"),
    "weights": ("config", "core"),
    "models": ("config", "core", "sharding.logical", "data.schema"),
    "data": ("config", "core.errors", "core.files", "data.schema"),
    "checkpoint": ("config", "core", "sharding", "weights"),
    "training": ("config", "core", "sharding", "models", "checkpoint", "data.schema"),
    "evaluation": (
        "config", "config_evaluation", "core", "sharding", "models", "data", "checkpoint",
        "evaluation.results",
    ),
    "dialogue": ("config", "core", "sharding", "models", "data", "evaluation"),
    "planning": ("config", "core", "sharding", "models", "training", "data.schema"),
    "picture_embedder": (
        "config", "core", "data", "evaluation", "models", "preparation", "sharding", "training",
    ),
    "preparation": ("config", "config_fields", "core", "data"),
    "tables": ("core", "evaluation.results"),
    # The entry points' flags: in nobody's row, and the one place that resolves a config.
    "command_line": ("config", "config_fields", "core", "training.interruption"),
}  # fmt: skip

JAX = ("jax", "jaxlib", "haiku", "optax", "chex", "flax", "orbax", "clu", "jmp")
TENSORFLOW = ("tensorflow", "tensorflow_datasets", "tensorflow_text", "seqio", "keras", "t5")
# Unit -> outside packages that it must not reach, itself or through our modules. (seqio loads jax
# on its own account; what is forbidden to `data` is to use it.)
FORBIDDEN: Mapping[str, Sequence[str]] = {"data": JAX, "tables": JAX + TENSORFLOW}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Import:
    """One imported module, by its full dotted name, and where it is imported.

    Attributes:
      target: a module of the package if it is ours, else the name as written.
      name: what is taken out of the module, "" for the module itself.
      place: "file:line".
      deferred: inside a function or under `if TYPE_CHECKING`, so not run on loading.
    """

    target: str
    name: str
    place: str
    deferred: bool


Graph = dict[str, list[Import]]


def module_files(root: Path, package: str) -> dict[str, Path]:
    """All modules of `root/package`: {dotted name: file}; a package is named by its folder."""
    names = {}
    for file in sorted((root / package).rglob("*.py")):
        parts = file.relative_to(root).with_suffix("").parts
        names[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = file
    return names


def _walk(node: ast.AST, deferred: bool = False) -> Iterator[tuple[ast.AST, bool]]:
    for child in ast.iter_child_nodes(node):
        inside = deferred or isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            inside = True
        yield child, inside
        yield from _walk(child, inside)


def _base(node: ast.ImportFrom, module: str, is_package: bool) -> str:
    """The absolute name of the module after `from`, which may be written with leading dots."""
    if not node.level:
        return node.module or ""
    up = module.split(".")[: len(module.split(".")) - node.level + is_package]
    return ".".join([*up, *([node.module] if node.module else [])])


def imports_of(module: str, file: Path, known: Mapping[str, Path], root: Path) -> list[Import]:
    """All imports of one module; `from package import submodule` counts as the submodule."""
    found = []
    for node, deferred in _walk(ast.parse(file.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.Import | ast.ImportFrom):
            continue
        place = f"{file.relative_to(root)}:{node.lineno}"
        if isinstance(node, ast.Import):
            pairs = [(alias.name, "") for alias in node.names]
        else:
            base = _base(node, module, file.name == "__init__.py")
            pairs = [
                (f"{base}.{a.name}", "") if f"{base}.{a.name}" in known else (base, a.name)
                for a in node.names
            ]
        found += [
            Import(target=target, name=name, place=place, deferred=deferred)
            for target, name in pairs
        ]
    return found


def read_graph(root: Path, package: str) -> Graph:
    """{module: its imports} for every module below `root/package`."""
    known = module_files(root, package)
    return {module: imports_of(module, file, known, root) for module, file in known.items()}


def unit_of(module: str) -> str:
    """The row of ALLOWED that governs a module; "" for an entry point and for the package."""
    inner = module.partition(".")[2]
    fitting = [unit for unit in ALLOWED if inner == unit or inner.startswith(f"{unit}.")]
    return max(fitting, key=len, default="")


def is_entry_point(module: str, graph: Graph) -> bool:
    """True for a module right below the package that has no row of its own: train, evaluate."""
    below = any(other.startswith(f"{module}.") for other in graph)
    return module.count(".") == 1 and not unit_of(module) and not below


def _may(unit: str, target: str) -> bool:
    inner = target.partition(".")[2]
    return any(
        inner == allowed or inner.startswith(f"{allowed}.") for allowed in ALLOWED[unit]
    ) or unit_of(target) == unit


def _takes_unresolved(unit: str, item: Import) -> bool:
    below = bool(unit) and unit not in (CONFIG, COMMAND_LINE)
    return below and unit_of(item.target) == CONFIG and item.name in ("", "resolve")


def layering_errors(graph: Graph) -> list[str]:
    """Imports of ours that the table does not allow, each as "file:line: what is wrong"."""
    package = next(iter(graph)).partition(".")[0]
    errors = []
    for module, imports in graph.items():
        unit, entry = unit_of(module), is_entry_point(module, graph)
        if not unit and not entry and module != package:
            errors.append(f"{module}: no row of the table covers it")
            continue
        for item in imports:
            target = item.target
            if target.partition(".")[0] != package:
                continue
            if target not in graph:
                errors.append(f"{item.place}: there is no module {target}")
            elif is_entry_point(target, graph):
                errors.append(f"{item.place}: {target} is an entry point; nothing imports these")
            elif target == package and not item.name:
                pass  # `import flamingo_jax` finds the package's folder; there is nothing in it
            elif unit and not _may(unit, target):
                errors.append(f"{item.place}: {unit} must not import {target}")
            elif _takes_unresolved(unit, item):
                what = item.name or "the whole module"
                errors.append(f"{item.place}: {unit} takes resolved values, not {what}")
    return errors


def outside_errors(graph: Graph) -> list[str]:
    """Forbidden outside packages that a unit imports, or that its imports of ours load."""
    errors = []
    for module in graph:
        forbidden = FORBIDDEN.get(unit_of(module).partition(".")[0], ())
        trail, seen = [(module, "")], {module}
        while trail and forbidden:
            current, way = trail.pop()
            for item in graph[current]:
                if item.deferred and current != module:
                    continue
                if item.target.partition(".")[0] in forbidden:
                    errors.append(f"{way}{item.place}: {module} must not reach {item.target}")
                elif item.target in graph and item.target not in seen and not item.deferred:
                    seen.add(item.target)
                    trail.append((item.target, f"{way}{item.place} -> "))
    return errors


def cycle_errors(graph: Graph) -> list[str]:
    """Import cycles among our modules, each once, as the places that lead around."""
    errors, done, path = [], set(), {}

    def visit(module: str) -> None:
        for item in graph[module]:
            if item.target not in graph or item.target in done:
                continue
            path[module] = item.place
            if item.target in path:
                names = list(path)
                errors.append(
                    "cycle: " + " -> ".join(path[n] for n in names[names.index(item.target) :])
                )
            else:
                visit(item.target)
        path.pop(module, None)
        done.add(module)

    for module in graph:
        if module not in done:
            visit(module)
    return errors


def init_errors(root: Path, package: str) -> list[str]:
    """Folders of modules without `__init__.py`, and `__init__.py` files that hold code."""
    errors = []
    for folder in sorted({file.parent for file in (root / package).rglob("*.py")}):
        init = folder / "__init__.py"
        if not init.exists():
            errors.append(f"{folder.relative_to(root)}: no __init__.py, so it is not installed")
            continue
        for node in ast.parse(init.read_text(encoding="utf-8")).body:
            is_docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
            if not is_docstring:
                errors.append(f"{init.relative_to(root)}:{node.lineno}: not empty")
    return errors


@pytest.fixture(scope="module")
def graph() -> Graph:
    return read_graph(REPOSITORY, PACKAGE)


def test_imports_follow_the_table(graph: Graph) -> None:
    assert len(graph) > 10
    assert not (errors := layering_errors(graph)), "\n".join(errors)


def test_data_reaches_no_jax_and_tables_no_tensorflow(graph: Graph) -> None:
    assert not (errors := outside_errors(graph)), "\n".join(errors)


def test_there_are_no_import_cycles(graph: Graph) -> None:
    assert not (errors := cycle_errors(graph)), "\n".join(errors)


def test_package_init_files_exist_and_are_empty() -> None:
    assert not (errors := init_errors(REPOSITORY, PACKAGE)), "\n".join(errors)


def test_config_files_are_data_only() -> None:
    errors = [
        f"{item.place}: a config file must not import {item.target}"
        for imports in read_graph(REPOSITORY, "configs").values()
        for item in imports
        if item.target.partition(".")[0] in (PACKAGE, *JAX, *TENSORFLOW)
    ]
    assert not errors, "\n".join(errors)


CLEAN_TREE = {
    "core/paths.py": "import re",
    "config.py": "from flamingo_jax.core import paths",
    "data/schema.py": "KEY = 'text'",
    "data/ops/pages.py": "import tensorflow\nfrom .. import schema\nfrom ..schema import KEY",
    "models/build.py": "import jax\nfrom flamingo_jax.config import ModelConfig",
    "evaluation/results.py": "import json",
    "tables/render.py": "from flamingo_jax.evaluation import results",
    "command_line.py": "from flamingo_jax.config import resolve",
    "train.py": "from flamingo_jax.models.build import build\nimport flamingo_jax.command_line",
}


def _errors_of(tmp_path: Path, changes: Mapping[str, str]) -> list[str]:
    for name, text in {**CLEAN_TREE, **changes}.items():
        file = tmp_path / PACKAGE / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    for folder in [tmp_path / PACKAGE, *(tmp_path / PACKAGE).rglob("*/")]:
        (folder / "__init__.py").touch()
    graph = read_graph(tmp_path, PACKAGE)
    return [
        *layering_errors(graph),
        *outside_errors(graph),
        *cycle_errors(graph),
        *init_errors(tmp_path, PACKAGE),
    ]


def test_a_clean_tree_has_no_errors(tmp_path: Path) -> None:
    assert _errors_of(tmp_path, {}) == []


@pytest.mark.parametrize(
    ("file", "text", "line", "words"),
    [
        ("core/files.py", "\nimport flamingo_jax.config", 2, "core must not import"),
        ("core/files.py", "def f():\n  from flamingo_jax.config import A", 2, "core must not"),
        ("models/flamingo.py", "from flamingo_jax.data.ops import pages", 1, "models must not"),
        ("models/flamingo.py", "from ..data.ops.pages import x", 1, "models must not import"),
        ("models/flamingo.py", "from flamingo_jax.config import resolve", 1, "not resolve"),
        ("models/flamingo.py", "from flamingo_jax import config", 1, "not the whole module"),
        ("models/flamingo.py", "import flamingo_jax.heads", 1, "there is no module"),
        ("training/loop.py", "from flamingo_jax import train", 1, "entry point"),
        ("evaluate.py", "import flamingo_jax.train", 1, "entry point"),
        ("models/flamingo.py", "import flamingo_jax.command_line", 1, "models must not import"),
        ("data/schema.py", "from flamingo_jax.core import paths", 1, "data.schema must not"),
        ("data/sources/shards.py", "def f():\n  import jax.numpy", 2, "must not reach jax"),
        ("tables/plot.py", "import tensorflow as tf", 1, "must not reach tensorflow"),
        ("models/__init__.py", "'''Models.'''\nVERSION = 1", 2, "not empty"),
    ],
)
def test_each_rule_fails_with_its_place(
    tmp_path: Path, file: str, text: str, line: int, words: str
) -> None:
    errors = _errors_of(tmp_path, {file: text})
    assert len(errors) == 1, errors
    assert errors[0].startswith(f"{PACKAGE}/{file}:{line}: ")
    assert words in errors[0]


def test_forbidden_packages_are_found_behind_our_own_modules(tmp_path: Path) -> None:
    changes = {
        "core/arrays.py": "import jax",
        "core/files.py": "from flamingo_jax.core import arrays",
        "tables/plot.py": "from flamingo_jax.core import files",
    }
    (error,) = _errors_of(tmp_path, changes)
    assert error.startswith("flamingo_jax/tables/plot.py:1 -> flamingo_jax/core/files.py:1 -> ")
    changes["core/arrays.py"] = "def f():\n  import jax"
    assert _errors_of(tmp_path, changes) == []


def test_a_cycle_is_named_by_the_places_that_make_it(tmp_path: Path) -> None:
    changes = {
        "models/a.py": "import flamingo_jax.models.b",
        "models/b.py": "\nfrom flamingo_jax.models import c",
        "models/c.py": "from .a import x",
    }
    (error,) = _errors_of(tmp_path, changes)
    assert sorted(error.removeprefix("cycle: ").split(" -> ")) == [
        "flamingo_jax/models/a.py:1",
        "flamingo_jax/models/b.py:2",
        "flamingo_jax/models/c.py:1",
    ]


def test_a_package_outside_the_table_is_an_error(tmp_path: Path) -> None:
    errors = _errors_of(tmp_path, {"tools/crop.py": "import re"})
    assert errors and all("no row of the table" in error for error in errors)
