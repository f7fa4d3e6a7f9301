"""Files of pictures and clips that a person gives: told by their content, read within limits."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from flamingo_jax.core.errors import UserError
from flamingo_jax.data.media import EncodedImage, EncodedVideo

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff")
VIDEO_SUFFIXES = (".mp4", ".m4v", ".mov", ".webm", ".mkv", ".avi")
SUFFIXES = IMAGE_SUFFIXES + VIDEO_SUFFIXES

MAX_FILE_BYTES = 20 * 1024 * 1024
"""Larger files are not read."""

_HEADER = 16


def is_named_as_medium(name: str) -> bool:
    """Whether a file's name ends like that of a picture or a clip."""
    return name.lower().endswith(SUFFIXES)


def kind_of(header: bytes) -> type[EncodedImage] | type[EncodedVideo] | None:
    """What a file with these first bytes is, of what can be decoded; None: something else."""
    if header[4:8] == b"ftyp" or header.startswith(b"\x1a\x45\xdf\xa3"):
        return EncodedVideo  # MP4, MOV, ...; Matroska and WebM.
    if header.startswith(b"RIFF") and header[8:12] in (b"WEBP", b"AVI "):
        return EncodedImage if header[8:12] == b"WEBP" else EncodedVideo
    pictures = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF8", b"BM", b"II*\0", b"MM\0*")
    return EncodedImage if header.startswith((*pictures, b"II+\0", b"MM\0+")) else None


def looks_like_medium(path: Path) -> bool:
    """Whether there is a file that is a picture or a clip by its first bytes."""
    try:
        if not path.is_file():
            return False
        with path.open("rb") as file:
            return kind_of(file.read(_HEADER)) is not None
    except (OSError, ValueError):  # ValueError: a NUL in the name.
        return False


def read_medium(
    path: Path, name: str, max_bytes: int = MAX_FILE_BYTES
) -> EncodedImage | EncodedVideo:
    """Reads a file of a picture or a clip.

    Args:
        path: the file.
        name: what the person calls it, for messages.
        max_bytes: of the file.

    Raises:
        UserError: there is no such file, it is too large, or neither picture nor clip.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)  # Not waiting for a pipe's writer.
    except (OSError, ValueError):
        raise UserError(f"{name}: no such file, or it may not be read") from None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise UserError(f"{name}: this is no file")
    with os.fdopen(descriptor, "rb") as file:
        data = file.read(max_bytes + 1)
    if len(data) > max_bytes:
        raise UserError(f"{name}: larger than {max_bytes / 2**20:.0f} MB")
    kind = kind_of(data[:_HEADER])
    if kind is None:
        raise UserError(
            f"{name}: neither a picture (JPEG, PNG, WebP, GIF, BMP, TIFF) nor a clip (MP4, MOV,"
            " WebM, Matroska, AVI)"
        )
    return kind(data=data, name=name)
