"""The folder of a benchmark: its annotation files, and what is said where one is missing or broken.

Files are read whole. What need not be kept of a large one goes while it is parsed (`Reduce`), so
that memory follows what is kept and not what the file has.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Sequence
from typing import Any

from flamingo_jax.core.errors import UserError
from flamingo_jax.data import files
from flamingo_jax.evaluation.benchmarks.media_folders import (
    MediaFolder,
    MediaFolders,
    find_media_folder,
    no_other_names,
)

Reduce = Callable[[dict[str, Any]], Any]
"""What stands for an object of a JSON file; it sees inner objects before those they are in."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Origin:
    """What messages say of a benchmark's files.

    Attributes:
      name: of the benchmark.
      where: where to get them.
      layout: which files the benchmark's folder must have.
    """

    name: str
    where: str
    layout: str


class BenchmarkFolder:
    """A benchmark's folder, local or gs://."""

    def __init__(self, origin: Origin, path: str) -> None:
        """Looks whether the folder is there.

        Args:
          origin: for messages.
          path: the folder.

        Raises:
          UserError: there is no such folder.
        """
        self.origin = origin
        self.path = path.rstrip("/") or path
        if not files.is_folder(self.path):
            raise UserError(
                f"{origin.name}: there is no folder {self.path!r}; get the files from"
                f" {origin.where}; the folder must have {origin.layout}"
            )

    def missing(self, what: str) -> UserError:
        """The error of a missing file; `what` names it: "file 'val.json'"."""
        return UserError(
            f"{self.origin.name}: there is no {what} in {self.path!r}; get it from"
            f" {self.origin.where}; the folder must have {self.origin.layout}"
        )

    def has(self, name: str) -> bool:
        """Whether there is a file of that name."""
        return files.exists(files.join(self.path, name))

    def first(self, *names: str) -> str:
        """The first of several names that there is a file of.

        Raises:
          UserError: there is none of them.
        """
        for name in names:
            if self.has(name):
                return name
        raise self.missing("file " + " or ".join(map(repr, names)))

    def place(self, name: str) -> str:
        """How messages name a file: "okvqa: '/data/okvqa/val.json'"."""
        return f"{self.origin.name}: {files.join(self.path, name)!r}"

    def read_text(self, name: str) -> str:
        """The content of a file in UTF-8, with or without a byte-order mark.

        Raises:
          UserError: it is missing, cannot be read, or is not UTF-8.
        """
        if not self.has(name):
            raise self.missing(f"file {name!r}")
        try:
            return files.read_bytes(files.join(self.path, name)).decode("utf-8-sig")
        except OSError as error:
            said = error.strerror or str(error)
            raise UserError(f"{self.place(name)} cannot be read: {said}") from None
        except UnicodeDecodeError as error:
            raise UserError(f"{self.place(name)} is not UTF-8 ({error})") from None

    def read_json(self, name: str, reduce: Reduce | None = None) -> Any:
        """The value that a JSON file stands for.

        Args:
          name: of the file.
          reduce: applied to every object as soon as it is parsed.

        Raises:
          UserError: it is missing, cannot be read, or is not JSON; what `reduce` raises.
        """
        return _parse(self.read_text(name), self.place(name), reduce)

    def read_json_lines(self, name: str) -> list[tuple[str, Any]]:
        """The values of a file with one JSON value a line, each behind its place for messages.

        Empty lines count, but have no value.

        Raises:
          UserError: the file is missing, cannot be read, or a line is not JSON.
        """
        # Not splitlines(): JSON may have other line breaks of Unicode inside its strings.
        lines = self.read_text(name).split("\n")
        places = (f"{self.place(name)} line {number}" for number in range(1, len(lines) + 1))
        return [
            (place, _parse(line, place, None))
            for place, line in zip(places, lines, strict=True)
            if line.strip()
        ]

    def media_folder(self, *names: str, shared_with: str = "") -> MediaFolder:
        """Where pictures or clips lie: a folder, or tar shards.

        Args:
          names: the folder may have any of them; for the name `train2014`, it is the folder
            `train2014`, or else the file `train2014.tar`, or else the shards `train2014-*.tar`.
          shared_with: another benchmark whose folder beside this one may have it instead.

        Raises:
          UserError: nothing of that is there.
        """
        homes = [self.path]
        if shared_with:
            homes.append(files.join(_parent(self.path), shared_with))
        for home in homes:
            for name in names:
                found = find_media_folder(home, name, self.origin.name)
                if found is not None:
                    return found
        kinds = " or ".join(f"{name!r} ({name}.tar, {name}-*.tar)" for name in names)
        beside = f" (or of {shared_with!r} beside it)" if shared_with else ""
        raise self.missing(f"folder of media {kinds}{beside}")

    def pictures(
        self,
        *folders: MediaFolder,
        other_names: Callable[[str], Sequence[str]] = no_other_names,
    ) -> MediaFolders:
        """The pictures of media folders, by names such as `train2014/COCO_train2014_1.jpg`."""
        return MediaFolders(self.origin.name, folders, other_names)


def _parse(text: str, place: str, reduce: Reduce | None) -> Any:
    try:
        return json.loads(text, object_hook=reduce)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{place} is not JSON ({error})") from None


def _parent(path: str) -> str:
    """The folder that a folder is in."""
    # A relative path of one part, and "." and "..", have their parent outside themselves.
    return files.join(path, "..") if "/" not in path else path.rpartition("/")[0] or "/"
