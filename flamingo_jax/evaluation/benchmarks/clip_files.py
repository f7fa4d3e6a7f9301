"""The clips of video benchmarks by name, whatever kind of file each of them is.

Annotations name videos, not files: `video7010` may lie there as mp4, webm, mkv or avi. And videos
vanish from YouTube: the paper asks about those that are left. A clip that can no longer be got is
named in the file `missing_clips.txt` of the benchmark's folder, one a line, without folder and
extension; it is neither asked about nor shown. What is missing and not named there is an error.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

from flamingo_jax.core.errors import UserError
from flamingo_jax.data.bad_samples import BadSample
from flamingo_jax.data.media import EncodedVideo
from flamingo_jax.evaluation.benchmarks.benchmark_folder import BenchmarkFolder
from flamingo_jax.evaluation.benchmarks.media_folders import MediaFolder

EXTENSIONS = (".mp4", ".webm", ".mkv", ".avi")
MISSING_CLIPS = "missing_clips.txt"

START_SECONDS = "start_seconds"
END_SECONDS = "end_seconds"
"""In an item's `details` if it is about a part of its file; absent if it is about all of it."""

OtherStems = Callable[[str], Sequence[str]]
"""Under which names a clip may lie as well."""


def file_name_alone(stem: str) -> Sequence[str]:
    """The clip beside the folders that it may lie in: `x` for `abseiling/x`."""
    return (stem.rpartition("/")[2],) if "/" in stem else ()


@dataclasses.dataclass(frozen=True, kw_only=True)
class ClipFiles:
    """The clips of a folder, or of tar shards.

    Attributes:
      benchmark: its name, for messages.
      folder: where the files lie.
      other_stems: names to look under where there is no file of the first one.
    """

    benchmark: str
    folder: MediaFolder
    other_stems: OtherStems = file_name_alone

    def medium(self, stem: str) -> str:
        """The name of the clip that lies as `stem` with an extension in the folder."""
        return f"{self.folder.name}/{stem}"

    def read(self, name: str) -> EncodedVideo:
        """The file of a clip.

        Args:
          name: as `medium` gives it.

        Raises:
          UserError: it is missing, empty, or its name is not safe. A score is a mean over all
            queries, so none is passed over unasked.
        """
        stem = name.removeprefix(f"{self.folder.name}/")
        stems = (stem, *self.other_stems(stem))
        for file in (candidate + extension for candidate in stems for extension in EXTENSIONS):
            data = self._bytes(file)
            if data is None:
                continue
            if not data:
                raise UserError(f"{self.benchmark}: the clip {self._place(file)!r} is empty")
            return EncodedVideo(data=data, name=f"{self.benchmark}: {self.medium(file)}")
        places = " or ".join(repr(self._place(candidate)) for candidate in stems)
        raise UserError(
            f"{self.benchmark}: there is no clip {places} ({', '.join(EXTENSIONS)}); if it can no"
            f" longer be got, add the line {_file_name(stem)!r} to {MISSING_CLIPS!r}"
        )

    def _bytes(self, file: str) -> bytes | None:
        try:
            return self.folder.read(file)
        except BadSample as bad:
            raise UserError(f"{self.benchmark}: the clip {file!r} cannot be used: {bad}") from None

    def _place(self, stem: str) -> str:
        return f"{self.folder.store.place}/{stem}"


def open_clips(
    here: BenchmarkFolder, *names: str, other_stems: OtherStems = file_name_alone
) -> ClipFiles:
    """The clips of a benchmark.

    Args:
      here: the benchmark's folder.
      names: what the folder of the clips may be called; see `BenchmarkFolder.media_folder`.
      other_stems: see `ClipFiles`.

    Raises:
      UserError: there is none of these folders, nor tar shards of such a name.
    """
    return ClipFiles(
        benchmark=here.origin.name, folder=here.media_folder(*names), other_stems=other_stems
    )


def missing_clips(here: BenchmarkFolder) -> frozenset[str]:
    """The clips that the folder's owner says are not to be had; usually none.

    Raises:
      UserError: the list cannot be read.
    """
    if not here.has(MISSING_CLIPS):
        return frozenset()
    lines = (line.strip() for line in here.read_text(MISSING_CLIPS).split("\n"))
    return frozenset(_without_extension(line) for line in lines if line)


def is_named(medium: str, clips: frozenset[str]) -> bool:
    """Whether a clip is one of those named without folder and extension."""
    return _file_name(medium) in clips


def segment(start: float, end: float, place: str) -> dict[str, float]:
    """The part of a video that an item is about, for its `details`.

    Args:
      start: seconds from the video's beginning.
      end: likewise.
      place: where they stand, for messages.

    Raises:
      UserError: they are no part of a video.
    """
    if not 0 <= start <= end:
        raise UserError(f"{place}: a segment from {start:g} to {end:g} seconds is none of a video")
    return {START_SECONDS: start, END_SECONDS: end}


def _file_name(stem: str) -> str:
    return stem.rpartition("/")[2]


def _without_extension(name: str) -> str:
    for extension in EXTENSIONS:
        name = name.removesuffix(extension)
    return name
