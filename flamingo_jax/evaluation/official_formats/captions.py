"""Captions: COCO's `captions_*.json` and COCO's format of results, `[{"image_id", "caption"}]`."""

from __future__ import annotations

import dataclasses

from flamingo_jax.core.errors import UserError
from flamingo_jax.evaluation.official_formats import files
from flamingo_jax.evaluation.official_formats.files import Id

_FORM = 'COCO\'s {"images": [{"id"}], "annotations": [{"image_id", "caption"}]}'


@dataclasses.dataclass(frozen=True, kw_only=True)
class Captions:
    """Predicted captions with the right ones, in the order of the annotations' `images`.

    That is the order in which coco-caption tokenises and scores them.

    Attributes:
      ids: of the pictures that have a result.
      predictions: the predicted caption of each.
      references: the right captions of each.
      num_without: annotated pictures without a result.
    """

    ids: tuple[Id, ...]
    predictions: tuple[str, ...]
    references: tuple[tuple[str, ...], ...]
    num_without: int


def read_captions(annotations: str, results: str) -> Captions:
    """Reads and joins captions. As in coco-caption, pictures without a result are not scored.

    Args:
      annotations: file of the right captions.
      results: file of the predicted ones.

    Raises:
      UserError: a file is missing or has another form, a picture has two results, is unknown or
        has no right caption, or there are no results.
    """
    content = files.read_json(annotations, "annotations")
    right: dict[Id, list[str]] = files.fields(
        annotations,
        "annotations",
        _FORM,
        lambda: {image["id"]: [] for image in content.get("images", [])},
    )

    def collect() -> None:
        for annotation in content["annotations"]:
            if "images" in content and annotation["image_id"] not in right:
                raise ValueError(f"image {annotation['image_id']!r} is not among the images")
            right.setdefault(annotation["image_id"], []).append(_text(annotation["caption"]))

    files.fields(annotations, "annotations", _FORM, collect)
    predicted = read_predicted_captions(results)
    files.check_known(predicted, right, results)
    if not predicted:
        raise UserError(f"--results={results}: there are no results in it")
    ids = tuple(key for key in right if key in predicted)
    without = [key for key in ids if not right[key]]
    if without:
        raise UserError(f"--annotations={annotations}: image {without[0]!r} has no caption")
    return Captions(
        ids=ids,
        predictions=tuple(predicted[key] for key in ids),
        references=tuple(tuple(right[key]) for key in ids),
        num_without=sum(1 for key, texts in right.items() if texts and key not in predicted),
    )


def read_predicted_captions(path: str) -> dict[Id, str]:
    """Reads COCO's format of results.

    Args:
      path: the file.

    Returns:
      Captions by the id of the picture.

    Raises:
      UserError: the file is missing or has another form, or a picture comes twice.
    """
    content = files.read_json(path, "results")
    pairs = files.fields(
        path,
        "results",
        'a list of {"image_id", "caption"}',
        lambda: [(result["image_id"], _text(result["caption"])) for result in content],
    )
    return files.by_id(pairs, path, "results")


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"the caption {value!r} is not a string")
    return value
