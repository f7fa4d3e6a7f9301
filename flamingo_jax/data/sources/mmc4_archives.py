"""The zip files that MMC4 is published in: unpacked once, because lines inside cannot be reached.

A zip file's content is one stream; reading a line of it means unpacking all that stands before. So
each zip is unpacked into the folder of the indexes when a dataset is first opened.
"""

from __future__ import annotations

import concurrent.futures
import dataclasses
import hashlib
import os
import zipfile
import zlib
from collections.abc import Sequence

from flamingo_jax.core.errors import UserError
from flamingo_jax.core.files import prepare_folder
from flamingo_jax.data import files
from flamingo_jax.data.bad_samples import BadSample, Reason
from flamingo_jax.data.indexes.file_indexes import cache_folder
from flamingo_jax.data.indexes.progress import Progress

MAX_UNPACKED_BYTES = 4 * 2**30
"""A zip whose lines are larger is refused; those of MMC4 have some ten million bytes."""

_THREADS = 4
_LINES_SUFFIX = ".jsonl"
_FOLDER = "unpacked"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Unpacked:
    """Where the lines of zip files are now.

    Attributes:
        paths: for every given file, in order, the file of its lines; a missing zip itself; None
            for a zip that cannot be unpacked.
        problems: which cannot be unpacked, and why.
    """

    paths: tuple[str | None, ...]
    problems: tuple[BadSample, ...]


def unpack(paths: Sequence[str], index_dir: str, field: str) -> Unpacked:
    """Unpacks the zip files among the given ones, unless they were unpacked before.

    Args:
        paths: zip files, and files of lines, which are given back as they are.
        index_dir: folder of the indexes, local or gs://; empty: `flamingo_jax` in $XDG_CACHE_HOME
            or ~/.cache. Zip files are unpacked to `unpacked` in it.
        field: how messages name the files, such as "config.data[pages].paths".

    Returns:
        The files of lines.

    Raises:
        UserError: a zip holds something else than one file of lines, or the folder is full or
            cannot be written.
    """
    states = {path: _state_if_there(path, field) for path in paths if path.endswith(".zip")}
    found = {path: state for path, state in states.items() if state is not None}
    targets = {path: _target(path, state, index_dir) for path, state in found.items()}
    todo = [path for path, target in targets.items() if not files.exists(target)]
    progress = Progress(sum(found[path].num_bytes for path in todo))

    def unpack_one(path: str) -> BadSample | None:
        try:
            _write(targets[path], _lines(path, field), field)
        except BadSample as bad:
            return bad
        progress.report(found[path].num_bytes)
        return None

    with concurrent.futures.ThreadPoolExecutor(_THREADS) as threads:
        results = dict(zip(todo, threads.map(unpack_one, todo), strict=True))
    broken = {path: bad for path, bad in results.items() if bad is not None}
    return Unpacked(
        paths=tuple(None if path in broken else targets.get(path, path) for path in paths),
        problems=tuple(broken.values()),
    )


def _state_if_there(path: str, field: str) -> files.FileState | None:
    try:
        return files.state(path)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UserError(f"{field}: cannot read {path!r}: {error}") from None


def _target(path: str, state: files.FileState, index_dir: str) -> str:
    """Where a zip is unpacked to: a folder of its own, which a changed zip does not share."""
    key = f"{path}\n{state.num_bytes}\n{state.modified}"
    digest = hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()[:32]
    folder = index_dir or cache_folder()
    stem = os.path.basename(path).removesuffix(".zip").removesuffix(_LINES_SUFFIX)
    return files.join(folder, f"{_FOLDER}/{digest}/{stem}{_LINES_SUFFIX}")


def _lines(path: str, field: str) -> bytes:
    """The content of the one file of lines in a zip; its name is not used for anything.

    Raises:
        BadSample: the zip is not whole.
    """
    try:
        with files.open_binary(path) as file, zipfile.ZipFile(file) as archive:
            members = [m for m in archive.infolist() if m.filename.endswith(_LINES_SUFFIX)]
            if len(members) != 1 or members[0].file_size > MAX_UNPACKED_BYTES:
                held = "; ".join(f"{m.filename!r}, {m.file_size} bytes" for m in members[:3])
                raise UserError(
                    f"{field}: {path!r} holds {len(members)} files {_LINES_SUFFIX} ({held}):"
                    f" expected one, of at most {MAX_UNPACKED_BYTES} bytes"
                )
            return archive.read(members[0])
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise BadSample(Reason.TRUNCATED_SHARD, os.path.basename(path), str(error)) from error
    except OSError as error:
        raise UserError(f"{field}: cannot read {path!r}: {error}") from None


def _write(target: str, content: bytes, field: str) -> None:
    try:
        if not target.startswith("gs://"):
            prepare_folder(os.path.dirname(target))
        files.write_whole(target, content)
    except (OSError, UserError) as error:
        raise UserError(
            f"{field}: cannot unpack to {target!r} ({error}): set options.index_dir to a folder"
            " with room, or unpack the files yourself and name the .jsonl files"
        ) from None
