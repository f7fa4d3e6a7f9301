"""All 18 miniatures in one folder, as an evaluation of them needs them."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import av
import numpy as np

from tests.evaluation.benchmarks import miniature_clips, miniatures
from tests.evaluation.metrics import tiny_wordnet

NAMES = (*miniatures.MINIATURES, *miniature_clips.MINIATURES)

# Of these, items are about parts of whole videos, which must be as long as the parts say.
_OF_PARTS = ("youcook2", "ivqa", "rareact", "star")
_SECONDS = 120


def write(data_dir: Path) -> Path:
    """Writes all miniatures, each with two queries at least, and a WordNet; returns the folder."""
    for make in (*miniatures.MINIATURES.values(), *miniature_clips.MINIATURES.values()):
        make(data_dir)
    _add(data_dir / "msrvttqa" / "test_qa.json", {"id": 9, "question": "who sits?"})
    _add(data_dir / "star" / "STAR_test.json", {"question_id": "Interaction_T1_10"})
    _add(data_dir / "star" / "STAR_val.json", {"question_id": "Interaction_T1_10"})
    for name in _OF_PARTS:
        for path in (data_dir / name).rglob("*.m[pk][4v]"):
            path.write_bytes(_long_clip(miniatures.colour(path.stem), path.suffix))
    (data_dir / "wordnet").mkdir()
    tiny_wordnet.write(data_dir / "wordnet")
    return data_dir


def _add(path: Path, changed: dict[str, Any]) -> None:
    """Adds a record, the first one changed."""
    records = json.loads(path.read_text())
    path.write_text(json.dumps([*records, records[0] | changed]))


def _long_clip(rgb: tuple[int, int, int], kind: str) -> bytes:
    """A clip of one colour, a frame a second."""
    pixels = np.full((32, 32, 3), rgb, np.uint8)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"clip{kind}"
        with av.open(str(path), "w") as file:
            stream = file.add_stream("mpeg4", rate=1)
            stream.width = stream.height = 32
            stream.pix_fmt = "yuv420p"
            for _ in range(_SECONDS):
                file.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
            file.mux(stream.encode())
        return path.read_bytes()
