"""Finished pages to tar files, in the layout that source "pages/obelics" reads.

A page is `<key>.json` and one `<key>.<i>.jpg` for each picture, i counting from 0 the positions of
the record's two lists, which texts and pictures share. The bytes follow from the pages alone.
"""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterable

from flamingo_jax.preparation.m3w.pages import FinishedPage, Picture

SHARD_PATTERN = "m3w-*.tar"


def shard_name(number: int) -> str:
    """The name of a shard's file."""
    return f"m3w-{number:05d}.tar"


def shard_bytes(pages: Iterable[FinishedPage]) -> bytes:
    """The tar file of a shard's pages, ordered by their keys."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for page in sorted(pages, key=lambda page: page.key):
            for name, data in members(page):
                info = tarfile.TarInfo(name)  # Date 0 and no owner, so that runs do not differ.
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
    return file.getvalue()


def members(page: FinishedPage) -> Iterable[tuple[str, bytes]]:
    """Names and contents of a page's members: the record, then the pictures in order."""
    record = {
        "url": page.url,
        "texts": [piece if isinstance(piece, str) else None for piece in page.pieces],
        "images": [None if isinstance(piece, str) else piece.url for piece in page.pieces],
    }
    text = json.dumps(record, ensure_ascii=False)
    # A lone surrogate, which a page can name as `&#xD800;`, has no place in UTF-8.
    yield f"{page.key}.json", text.encode("utf-8", "replace")
    for number, piece in enumerate(page.pieces):
        if isinstance(piece, Picture):
            yield f"{page.key}.{number}.jpg", piece.data
