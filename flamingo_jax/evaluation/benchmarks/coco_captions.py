"""COCO's captions as a benchmark: every picture of a `captions_*.json` with all its captions.

The file is what https://cocodataset.org gives out: `images[].{id, file_name}` and
`annotations[].{image_id, caption}`, joined by id. What else is in it is not read.
"""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import numpy as np

from flamingo_jax.core.errors import UserError
from flamingo_jax.data import files
from flamingo_jax.data.bad_samples import BadSample
from flamingo_jax.data.image_store import ImageStore, open_image_store
from flamingo_jax.data.ops.decode_image import decode_image
from flamingo_jax.data.sources.pair import encoded_image


@dataclasses.dataclass(frozen=True, kw_only=True)
class CaptionedPicture:
    """One picture's part of the file.

    Attributes:
      name: its file.
      captions: what people said of it, at least one, in the order of the file; without outer
        spaces, otherwise as they were written.
    """

    name: str
    captions: tuple[str, ...]


@dataclasses.dataclass(frozen=True, kw_only=True)
class CocoCaptions:
    """Pictures with captions; the pictures are read when they are asked for.

    Attributes:
      pictures: those that have a caption, in the order of the file.
      store: where they lie.
      path: of the annotation file, for messages.
    """

    pictures: tuple[CaptionedPicture, ...]
    store: ImageStore
    path: str

    def shuffled(self, random: np.random.Generator) -> CocoCaptions:
        """The same pictures in a random order."""
        order = random.permutation(len(self.pictures))
        return dataclasses.replace(self, pictures=tuple(self.pictures[place] for place in order))

    def read(self, number: int, size: int) -> np.ndarray:
        """Picture `number` as training sees it: uint8 [1, size, size, 3].

        Raises:
          UserError: its file is missing or no readable picture. The score is a mean over all
            pictures, so none is passed over.
        """
        name = self.pictures[number].name
        try:
            return decode_image(encoded_image(self.store, name, self.path), size)[np.newaxis]
        except BadSample as bad:
            raise UserError(f"a picture of the evaluation cannot be used: {bad}") from None


def open_coco_captions(
    annotations: str, images: str, data_dir: str, field: str, images_field: str
) -> CocoCaptions:
    """Reads a captions file.

    Args:
      annotations: the file, local or gs://.
      images: folder or tar shards of its pictures.
      data_dir: folder that relative paths lie in.
      field: how messages name the setting of `annotations`.
      images_field: how they name that of `images`.

    Raises:
      UserError: a file or folder is missing, or the file is not one of captions.
    """
    (path,) = files.expand([annotations], data_dir, field)
    try:
        content = json.loads(files.read_bytes(path))
    except OSError as error:
        said = error.strerror or str(error)
        raise UserError(f"{field}: cannot read {path!r}: {said}") from None
    except (ValueError, RecursionError) as error:  # Not JSON, or not UTF-8.
        raise UserError(f"{path}: not JSON ({error})") from None
    return CocoCaptions(
        pictures=_join(content, path),
        store=open_image_store(images, data_dir, "", images_field),
        path=path,
    )


def _join(content: Any, path: str) -> tuple[CaptionedPicture, ...]:
    """Puts the captions to their pictures."""
    try:
        names = {image["id"]: image["file_name"] for image in content["images"]}
        captions: dict[Any, list[str]] = {number: [] for number in names}
        for annotation in content["annotations"]:
            if caption := annotation["caption"].strip():
                captions[annotation["image_id"]].append(caption)
    except (AttributeError, KeyError, TypeError) as error:
        raise UserError(
            f"{path}: no captions in COCO's form, images[].id and file_name, annotations[].image_id"
            f" and caption ({type(error).__name__}: {error})"
        ) from None
    pictures = tuple(
        CaptionedPicture(name=str(names[number]), captions=tuple(said))
        for number, said in captions.items()
        if said
    )
    if len(pictures) < 2:
        raise UserError(
            f"{path} has {len(pictures)} pictures with captions: expected at least 2, since the"
            " control swaps them"
        )
    return pictures
