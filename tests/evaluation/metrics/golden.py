"""Stored outputs of the official scorers; each file is made by the make_*.py beside it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[2] / "golden" / "metrics"
TOLERANCE = 1e-4
"""How far a score may be from the official one, in points."""


def load(name: str) -> Any:
    """Content of a stored JSON file."""
    return json.loads((FOLDER / name).read_text(encoding="utf-8"))
