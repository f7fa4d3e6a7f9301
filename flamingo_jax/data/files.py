"""Files of datasets, local or on Google Cloud Storage: patterns, sizes, and parts read by threads.

A path that begins with `gs://` is read through etils.epath, every other one through the operating
system. Names that come out of data (a member of a tar file, a field of a record) are not trusted:
ask `is_safe_name` before anything else is done with them.
"""

from __future__ import annotations

import contextlib
import dataclasses
import glob
import os
import re
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from flamingo_jax.core.errors import UserError
from flamingo_jax.data.open_files import OpenFiles

MAX_PATHS = 10_000_000
"""A pattern that stands for more files is a slip of the keyboard."""

_RANGE = re.compile(r"(\d+)\.\.(\d+)")
_FILE_SYSTEMS = ("tensorflow", "fsspec", "gcsfs", "google", "aiohttp", "requests", "urllib3")
_open_files = OpenFiles(max_open=256)


def expand(paths: Sequence[str], data_dir: str, field: str) -> tuple[str, ...]:
    """The files that patterns stand for, in the order of the patterns.

    Args:
        paths: files, each perhaps with `{0000..0999}` (zeros in front are kept), `{a,b}`, and the
            wildcards `*`, `?`, `[...]` and `**`; braces may be several and nested.
        data_dir: folder that relative paths lie in; empty: the working directory.
        field: how messages name the patterns, such as "config.data[pairs].paths".

    Returns:
        The paths. What a wildcard finds is sorted. What braces name is given whether it exists or
        not: whoever reads the files decides what a missing one means.

    Raises:
        UserError: there is no pattern, braces are not closed or mean nothing, a wildcard finds
            nothing, or a file is named twice.
    """
    if not paths:
        raise UserError(f"{field} is empty: expected at least one file")
    found: dict[str, str] = {}
    for pattern in paths:
        if not pattern:
            raise UserError(f"{field} has an empty path: expected the name of a file")
        alternatives = _expand_braces(pattern, f"{field}: {pattern!r}")
        try:
            files = [file for path in alternatives for file in _expand_wildcards(path, data_dir)]
        except OSError as error:
            raise UserError(f"{field}: cannot list {pattern!r}: {error}") from None
        if not files:
            where = f" in {data_dir!r}" if data_dir and not _is_rooted(pattern) else ""
            raise UserError(f"{field}: no file matches {pattern!r}{where}")
        for file in files:
            if file in found:
                raise UserError(
                    f"{field}: {file!r} is named twice, by {found[file]!r} and by {pattern!r};"
                    " name every file once"
                )
            found[file] = pattern
    return tuple(found)


def _expand_braces(pattern: str, place: str) -> list[str]:
    """What a pattern stands for; `place` names it in messages."""
    before, brace, _ = pattern.partition("{")
    if "}" in before:
        raise UserError(f"{place} closes a brace that was not opened")
    if not brace:
        return [pattern]
    start, end = len(before) + 1, _closing_brace(pattern, len(before), place)
    choices = _choices(pattern[start:end], place)
    tails = _expand_braces(pattern[end + 1 :], place)
    if len(choices) * len(tails) > MAX_PATHS:
        raise UserError(f"{place} stands for more than {MAX_PATHS:,} files")
    return [before + choice + tail for choice in choices for tail in tails]


def _closing_brace(pattern: str, opening: int, place: str) -> int:
    depth = 0
    for position in range(opening, len(pattern)):
        depth += (pattern[position] == "{") - (pattern[position] == "}")
        if depth == 0:
            return position
    raise UserError(f"{place} opens a brace that is not closed")


def _choices(inside: str, place: str) -> list[str]:
    """What braces stand for: the numbers of a range, or the items of a list."""
    if bounds := _RANGE.fullmatch(inside):
        first, last = int(bounds[1]), int(bounds[2])
        if first > last:
            raise UserError(f"{place} has a range that runs backwards: {{{inside}}}")
        if last - first >= MAX_PATHS:
            raise UserError(f"{place} stands for more than {MAX_PATHS:,} files")
        is_padded = any(len(bound) > 1 and bound[0] == "0" for bound in bounds.groups())
        width = max(map(len, bounds.groups())) if is_padded else 1
        return [f"{number:0{width}d}" for number in range(first, last + 1)]
    items, depth = [""], 0
    for character in inside:
        depth += (character == "{") - (character == "}")
        if character == "," and depth == 0:
            items.append("")
        else:
            items[-1] += character
    if len(items) == 1:
        raise UserError(
            f"{place} has braces that are neither a range {{0000..0999}} nor a list {{a,b}}:"
            f" {{{inside}}}"
        )
    return [choice for item in items for choice in _expand_braces(item, place)]


def _expand_wildcards(path: str, data_dir: str) -> list[str]:
    full_path = join(data_dir, path)
    if not glob.has_magic(path):
        return [full_path]
    if _is_remote(full_path):
        if "**" in path:
            raise OSError("a bucket cannot be searched with `**`; use `*` for each folder")
        # The folder of the dataset is part of the pattern there: epath has no `root_dir`.
        bucket, _, rest = full_path.removeprefix("gs://").partition("/")
        with _remote(f"gs://{bucket}") as folder:
            return sorted(str(found) for found in folder.glob(rest))
    if exists(full_path):  # A file whose name has a bracket.
        return [full_path]
    root = os.path.expanduser("~" if path.startswith("~/") else data_dir)
    pattern = path.removeprefix("~/")
    return sorted(join(root, file) for file in glob.glob(pattern, root_dir=root, recursive=True))


def join(folder: str, name: str) -> str:
    """The path of a file in a folder.

    Args:
        folder: local, `gs://...`, or empty: the working directory.
        name: name of the file below the folder; an absolute path, one that begins with `~/` or
            with `gs://` stands for itself. Check names that come out of data with `is_safe_name`.

    Returns:
        The path, with `~` replaced by the home folder.
    """
    if _is_remote(name) or os.path.isabs(name):
        return name
    if name.startswith("~/"):
        return os.path.expanduser(name)
    if _is_remote(folder):
        return f"{folder.rstrip('/')}/{name}"
    return os.path.join(os.path.expanduser(folder), name)


def exists(path: str) -> bool:
    """Whether there is a file or folder of that name."""
    if not _is_remote(path):
        return os.path.exists(path)
    with _remote(path) as remote:
        return bool(remote.exists())


def is_folder(path: str) -> bool:
    """Whether there is a folder of that name."""
    if not _is_remote(path):
        return os.path.isdir(path)
    with _remote(path) as remote:
        return bool(remote.is_dir())


def size(path: str) -> int:
    """Bytes of a file. Raises OSError if there is none."""
    return state(path).num_bytes


@dataclasses.dataclass(frozen=True, kw_only=True)
class FileState:
    """What tells whether a file is still the one that was seen before.

    Attributes:
        num_bytes: its size.
        modified: when it was written last, in nanoseconds.
    """

    num_bytes: int
    modified: int


def state(path: str) -> FileState:
    """Size and time of a file. Raises OSError if there is none, or if it is a folder."""
    if _is_remote(path):
        with _remote(path) as remote:
            found = remote.stat()
        if found.is_directory:
            raise IsADirectoryError(f"{path} is a folder")
        return FileState(num_bytes=int(found.length), modified=int(found.mtime * 10**9))
    local = os.stat(path)
    if os.path.isdir(path):
        raise IsADirectoryError(f"{path} is a folder")
    return FileState(num_bytes=local.st_size, modified=local.st_mtime_ns)


@contextlib.contextmanager
def open_binary(path: str) -> Iterator[BinaryIO]:
    """A file to be read from its beginning, in a `with` statement. Raises OSError."""
    if not _is_remote(path):
        with open(path, "rb") as local_file:
            yield local_file
        return
    with _remote(path) as remote, remote.open("rb") as remote_file:
        yield remote_file


def read_bytes(path: str) -> bytes:
    """The whole content of a file. Raises OSError."""
    with open_binary(path) as file:
        return file.read()


def read_range(path: str, offset: int, length: int) -> bytes:
    """A part of a file; any number of threads may call this at the same time.

    Local files stay open between calls, the last few hundred of them.

    Args:
        path: the file.
        offset: where the part begins, in bytes.
        length: how long it is.

    Returns:
        The bytes; fewer than `length` only where the file ends before.

    Raises:
        OSError: there is no such file, or it cannot be read.
    """
    if _is_remote(path):
        with open_binary(path) as file:
            file.seek(offset)
            return file.read(length)
    with _open_files.lend(path) as descriptor:
        parts = []
        while length > 0 and (part := os.pread(descriptor, length, offset)):
            parts.append(part)
            offset, length = offset + len(part), length - len(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def forget(path: str) -> None:
    """Makes the next `read_range` open the file anew: another one may have taken its name."""
    _open_files.forget(path)


def write_whole(path: str, content: bytes) -> None:
    """Writes a file so that readers see all of it or what was there before.

    Several processes may write the same file at the same time. Raises OSError.
    """
    if _is_remote(path):  # Objects of a bucket appear when they are complete.
        with _remote(path) as remote:
            remote.write_bytes(content)
        return
    target = Path(path)
    descriptor, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        os.chmod(temporary, 0o644)  # mkstemp makes files that only the owner reads.
        os.replace(temporary, target)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def is_safe_name(name: str) -> bool:
    """Whether a name out of data may be joined with a folder: relative, and never leading out.

    Refused are the empty name, absolute paths, `..`, `~` in front, backslashes, NUL, and anything
    with a scheme (`gs://`).
    """
    if not name or name[0] in "/~" or "\\" in name or "\0" in name or "://" in name:
        return False
    return ".." not in name.split("/")


def _is_remote(path: str) -> bool:
    return path.startswith("gs://")


def _is_rooted(path: str) -> bool:
    return _is_remote(path) or os.path.isabs(path) or path.startswith("~/")


@contextlib.contextmanager
def _remote(path: str) -> Iterator[Any]:
    """The path as epath has it; errors of the file system in the `with` statement are OSErrors."""
    # Loads TensorFlow's file system, which takes seconds; local datasets do without.
    from etils import epath

    try:
        yield epath.Path(path)
    except OSError:
        raise
    except Exception as error:
        # TensorFlow, fsspec and those below it have errors of their own. Errors of whoever reads
        # the file in the `with` statement are not theirs.
        if type(error).__module__.partition(".")[0] in _FILE_SYSTEMS:
            raise OSError(f"{path}: {error}") from error
        raise
