"""The integrity manifest of a saved folder: size and sha256 of every file.

Orbax restores a file with a flipped bit without an error, and takes any folder with a numeric name
for a checkpoint. The manifest is what tells a whole save from a damaged or foreign one.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from flamingo_jax.core.files import write_atomic

MANIFEST_NAME = "integrity.json"
_CHUNK_BYTES = 1 << 20


def write_manifest(folder: Path) -> None:
    """Seals a folder: writes the manifest of all its files, in sub-folders too, as the last file.

    Args:
      folder: a folder that nothing writes to any more.
    """
    files = {
        path.relative_to(folder).as_posix(): {
            "bytes": path.stat().st_size,
            "sha256": _sha256(path),
        }
        for path in _files(folder)
    }
    write_atomic(folder / MANIFEST_NAME, json.dumps({"files": files}, indent=1) + "\n")


def find_damage(folder: Path) -> str | None:
    """Compares a folder with its manifest.

    Args:
      folder: a folder that `write_manifest` may have sealed.

    Returns:
      None when every file that was sealed has its size and sha256 still; else one phrase that
      names the first difference. Files that came later are not damage.
    """
    manifest = folder / MANIFEST_NAME
    try:
        files = json.loads(manifest.read_text(encoding="utf-8"))["files"]
        expected = {name: (entry["bytes"], entry["sha256"]) for name, entry in files.items()}
    except FileNotFoundError:
        return f"it has no {MANIFEST_NAME}" if any(folder.iterdir()) else "it is empty"
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return f"its {MANIFEST_NAME} cannot be read"
    for name, (size, sha256) in expected.items():
        path = folder / name
        try:
            if path.stat().st_size != size:
                return f"file {name} has {path.stat().st_size} bytes, not {size}"
            if _sha256(path) != sha256:
                return f"file {name} has changed since it was saved"
        except OSError as error:
            return f"file {name} cannot be read ({error.strerror})"
    return None


def _files(folder: Path) -> list[Path]:
    return sorted(
        path for path in folder.rglob("*") if path.is_file() and path.name != MANIFEST_NAME
    )


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()
