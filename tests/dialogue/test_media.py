"""Files of pictures and clips, by content and within limits."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from flamingo_jax.core.errors import UserError
from flamingo_jax.data.media import EncodedImage, EncodedVideo
from flamingo_jax.dialogue import media
from tests.data.video_files import write_video
from tests.dialogue import tiny


@pytest.mark.parametrize("container", ["mp4", "webm", "matroska", "avi"])
def test_clips_are_known_by_their_content(container: str, tmp_path: Path) -> None:
    codec = "libvpx" if container == "webm" else "libx264"
    (tmp_path / "clip").write_bytes(write_video(container, codec, num_frames=3))
    assert media.looks_like_medium(tmp_path / "clip")
    assert isinstance(media.read_medium(tmp_path / "clip", "clip"), EncodedVideo)


def test_pictures_are_known_by_their_content(tmp_path: Path) -> None:
    (tmp_path / "cat").write_bytes(tiny.png())
    assert media.looks_like_medium(tmp_path / "cat")
    medium = media.read_medium(tmp_path / "cat", "the cat")
    assert isinstance(medium, EncodedImage) and medium.name == "the cat"


@pytest.mark.parametrize("data", [b"", b"hello", b"RIFF0000WAVE", b"%PDF-1.7", b"<svg></svg>"])
def test_other_files_are_refused(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "x.png").write_bytes(data)
    assert not media.looks_like_medium(tmp_path / "x.png")
    with pytest.raises(UserError, match=r"x\.png: neither a picture"):
        media.read_medium(tmp_path / "x.png", "x.png")


def test_no_more_is_read_than_allowed(tmp_path: Path) -> None:
    data = tiny.png()
    (tmp_path / "x.png").write_bytes(data)
    assert media.read_medium(tmp_path / "x.png", "x", max_bytes=len(data)).data == data
    with pytest.raises(UserError, match="larger than"):
        media.read_medium(tmp_path / "x.png", "x", max_bytes=len(data) - 1)


def test_folders_pipes_and_devices_are_no_files(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    for path in (tmp_path, tmp_path / "pipe.png", Path("/dev/zero")):
        assert not media.looks_like_medium(path)
        with pytest.raises(UserError, match="no file|no such file"):
            media.read_medium(path, "it")
    for path in (tmp_path / "none.png", Path("a\0.png")):
        assert not media.looks_like_medium(path)
        with pytest.raises(UserError, match="it: no such file"):
            media.read_medium(path, "it")
