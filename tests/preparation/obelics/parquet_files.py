"""Small parquet files as OBELICS publishes them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

STRINGS = pa.list_(pa.string())


def write(path: Path, documents: Sequence[Sequence[str]], rows_a_group: int = 4) -> None:
    """A file of documents; an item that begins with "http" is a picture, any other one a text."""
    images = [[i if i.startswith("http") else None for i in items] for items in documents]
    texts = [[None if i.startswith("http") else i for i in items] for items in documents]
    metadata = [
        json.dumps(
            [{"document_url": "https://page.example/", "src": url} if url else None for url in row]
        )
        for row in images
    ]
    general = [json.dumps({"url": f"https://page.example/{n}"}) for n in range(len(documents))]
    columns = {
        "images": pa.array(images, STRINGS),
        "texts": pa.array(texts, STRINGS),
        "metadata": pa.array(metadata, pa.string()),
        "general_metadata": pa.array(general, pa.string()),
    }
    pq.write_table(pa.table(columns), path, row_group_size=rows_a_group)
