"""Scores of candidates: labelled items, HatefulMemes, VisDial, RareAct, and retrieval.

Labels are `[{"id", "label"}]` (HatefulMemes' JSON lines are read as they are), scores
`[{"id", "scores": [...]}]`, as one JSON list or one object a line. HatefulMemes' results may also
be the challenge's CSV file, `id,proba,label`. VisDial has `[{"image_id", "round_id",
"gt_relevance"}]` and the challenge's `[{"image_id", "round_id", "ranks"}]`. RareAct has its table
`rareact.csv` and a matrix of scores, either .npz with `ids` and `scores` or, as its evaluation
reads it, .npy with one row for each of the table. Retrieval has `[{"text_id", "image_id"}]` and an
.npz file with `image_ids`, `text_ids` and `similarity` [images, texts].
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np

from flamingo_jax.core.errors import UserError
from flamingo_jax.evaluation.metrics.mean_weighted_average_precision import AnnotatedClip
from flamingo_jax.evaluation.official_formats import files
from flamingo_jax.evaluation.official_formats.files import Id


@dataclasses.dataclass(frozen=True, kw_only=True)
class Ranked:
    """Scores of candidates with what is right, in the order of the annotations.

    Attributes:
      ids: of the items.
      scores: one row of candidate scores for each; one number for each where there is a single
        candidate (HatefulMemes).
      right: label, or relevance of each candidate.
    """

    ids: tuple[Id, ...]
    scores: tuple[Any, ...]
    right: tuple[Any, ...]


def read_labelled(annotations: str, results: str) -> Ranked:
    """Reads and joins labels and scores of candidates.

    Args:
      annotations: `[{"id", "label"}]`; a label is the place of the right candidate, from 0.
      results: `[{"id", "scores"}]`.

    Raises:
      UserError: a file is missing or has another form, an id is unknown, comes twice or has no
        result, or a label has no score.
    """
    right = _read_labels(annotations)
    content = files.read_json_lines(results, "results")
    pairs = files.fields(
        results,
        "results",
        '{"id", "scores": [numbers]}',
        lambda: [(row["id"], np.asarray(row["scores"], dtype=np.float64)) for row in content],
    )
    joined = _join(right, files.by_id(pairs, results, "results"), results)
    for key, scores, label in zip(joined.ids, joined.scores, joined.right, strict=True):
        if scores.ndim != 1 or not 0 <= label < scores.size or np.isnan(scores).any():
            raise UserError(
                f"--results={results}: item {key!r} has scores of shape {scores.shape} and the"
                f" label {label}; expected a number for each candidate"
            )
    return joined


def read_hateful_memes(annotations: str, results: str) -> Ranked:
    """Reads and joins HatefulMemes' labels and probabilities.

    Args:
      annotations: JSON lines with `id` and `label`, 1 for hateful.
      results: CSV with `id` and `proba`, or `[{"id", "score"}]`.

    Raises:
      UserError: as in `read_labelled`.
    """
    right = _read_labels(annotations)
    if Path(results).suffix == ".csv":
        rows = files.read_table(results, "results")
        pairs = files.fields(
            results,
            "results",
            "the columns id and proba",
            lambda: [(int(row["id"]), float(row["proba"])) for row in rows],
        )
    else:
        content = files.read_json_lines(results, "results")
        pairs = files.fields(
            results,
            "results",
            '{"id", "score"}',
            lambda: [(row["id"], float(row["score"])) for row in content],
        )
    joined = _join(right, files.by_id(pairs, results, "results"), results)
    if set(joined.right) != {0, 1}:
        raise UserError(
            f"--annotations={annotations}: labels are {sorted(set(joined.right))}; the area under"
            " the curve needs both 0 and 1"
        )
    return joined


def read_visdial(annotations: str, results: str) -> Ranked:
    """Reads and joins VisDial's dense annotations and ranks; ids are "image/round".

    Args:
      annotations: `[{"image_id", "round_id", "gt_relevance"}]`.
      results: `[{"image_id", "round_id", "ranks"}]`, ranks from 1. Rounds without annotations are
        passed over: the challenge's files have all ten.

    Returns:
      Scores are negative ranks.

    Raises:
      UserError: as in `read_labelled`, or ranks are not 1 to the number of candidates.
    """
    content = files.read_json(annotations, "annotations")
    form = 'a list of {"image_id", "round_id", "gt_relevance"}'
    relevance = files.fields(
        annotations,
        "annotations",
        form,
        lambda: [(_round(row), np.asarray(row["gt_relevance"], float)) for row in content],
    )
    right = files.by_id(relevance, annotations, "annotations")
    rows = files.read_json(results, "results")
    ranks = files.fields(
        results,
        "results",
        'a list of {"image_id", "round_id", "ranks"}',
        lambda: [(_round(row), -np.asarray(row["ranks"], float)) for row in rows],
    )
    predicted = files.by_id(ranks, results, "results")
    joined = _join(right, {key: predicted[key] for key in right if key in predicted}, results)
    for key, scores, relevant in zip(joined.ids, joined.scores, joined.right, strict=True):
        expected = -np.arange(1, relevant.size + 1)[::-1]
        if not np.array_equal(np.sort(scores), expected):
            raise UserError(
                f"--results={results}: the ranks of {key} are not 1 to {relevant.size}, once each"
            )
        if not relevant.any():
            raise UserError(f"--annotations={annotations}: {key} has no relevant candidate")
    return joined


def read_rareact(annotations: str, results: str) -> tuple[list[AnnotatedClip], np.ndarray]:
    """Reads RareAct's table and the scores of its clips.

    Args:
      annotations: `rareact.csv`.
      results: .npz with `ids` and `scores` [N, C], or .npy with `scores` in the table's order.

    Returns:
      The table, and the scores in its order.

    Raises:
      UserError: as in `read_labelled`, or scores and table do not fit.
    """
    rows = files.read_table(annotations, "annotations")
    form = "RareAct's columns id, video_id, verb, noun, class_id and annotation"
    table = files.fields(
        annotations, "annotations", form, lambda: [(int(row["id"]), _clip(row)) for row in rows]
    )
    clips = files.by_id(table, annotations, "annotations")
    if Path(results).suffix == ".npy":
        scores = _read_matrix(results)
        files.check_complete(clips, clips, results)
        if len(scores) != len(clips):
            raise UserError(
                f"--results={results}: {len(scores)} rows of scores for {len(clips)} of the table"
            )
    else:
        ids, rows_of_scores = files.read_arrays(results, "results", ["ids", "scores"])
        predicted = files.by_id(zip(ids.tolist(), rows_of_scores, strict=False), results, "results")
        scores = np.stack(_join(clips, predicted, results).scores)
    num_classes = max(clip.class_id for clip in clips.values()) + 1
    if scores.ndim != 2 or scores.shape[1] < num_classes or np.isnan(scores).any():
        raise UserError(
            f"--results={results}: scores of shape {scores.shape}; expected a number for each of"
            f" {len(clips)} clips and {num_classes} classes"
        )
    return list(clips.values()), scores


def read_retrieval(annotations: str, results: str) -> tuple[Ranked, np.ndarray, np.ndarray]:
    """Reads which texts belong to which images, and their similarities.

    Args:
      annotations: `[{"text_id", "image_id"}]`; a text may come with several images.
      results: .npz with `image_ids` [I], `text_ids` [T] and `similarity` [I, T].

    Returns:
      The ids of the images (`ids`) and of the texts (`right`); the similarities; which texts are
      right for which images, bool [I, T].

    Raises:
      UserError: as in `read_labelled`.
    """
    content = files.read_json(annotations, "annotations")
    pairs = files.fields(
        annotations,
        "annotations",
        'a list of {"text_id", "image_id"}',
        lambda: [(row["text_id"], row["image_id"]) for row in content],
    )
    names = ["image_ids", "text_ids", "similarity"]
    image_ids, text_ids, similarity = files.read_arrays(results, "results", names)
    if similarity.shape != (len(image_ids), len(text_ids)) or np.isnan(similarity).any():
        raise UserError(
            f"--results={results}: similarity of shape {similarity.shape} for {len(image_ids)}"
            f" images and {len(text_ids)} texts"
        )
    images = files.by_id(((key, n) for n, key in enumerate(image_ids.tolist())), results, "results")
    texts = files.by_id(((key, n) for n, key in enumerate(text_ids.tolist())), results, "results")
    files.check_known(images, {image for _, image in pairs}, results)
    files.check_known(texts, {text for text, _ in pairs}, results)
    files.check_complete(images, list(dict.fromkeys(image for _, image in pairs)), results)
    files.check_complete(texts, list(dict.fromkeys(text for text, _ in pairs)), results)
    is_match = np.zeros(similarity.shape, dtype=bool)
    for text, image in pairs:
        is_match[images[image], texts[text]] = True
    return Ranked(ids=tuple(images), scores=(), right=tuple(texts)), similarity, is_match


def _read_labels(path: str) -> dict[Id, int]:
    content = files.read_json_lines(path, "annotations")
    pairs = files.fields(
        path,
        "annotations",
        '{"id", "label"}',
        lambda: [(row["id"], _label(row)) for row in content],
    )
    return files.by_id(pairs, path, "annotations")


def _label(row: dict[str, Any]) -> int:
    if type(row["label"]) is not int:
        raise ValueError(f"the label {row['label']!r} is not a whole number")
    return row["label"]


def _join(right: dict[Id, Any], predicted: dict[Id, Any], results: str) -> Ranked:
    files.check_known(predicted, right, results)
    files.check_complete(predicted, right, results)
    return Ranked(
        ids=tuple(right),
        scores=tuple(predicted[key] for key in right),
        right=tuple(right.values()),
    )


def _round(row: dict[str, Any]) -> str:
    return f"{row['image_id']}/{row['round_id']}"


def _clip(row: dict[str, str]) -> AnnotatedClip:
    return AnnotatedClip(
        video=row["video_id"],
        verb=row["verb"],
        noun=row["noun"],
        class_id=int(row["class_id"]),
        annotation=int(row["annotation"]),
    )


def _read_matrix(path: str) -> np.ndarray:
    try:
        return np.asarray(np.load(path, allow_pickle=False), dtype=np.float64)
    except (OSError, ValueError) as error:
        raise UserError(f"--results={path}: no .npy file ({error})") from None
