"""Every measure on the files of its benchmark: annotations and results in, a number out."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from flamingo_jax.core.errors import UserError
from flamingo_jax.evaluation.metrics.accuracy import mean_top1_top5, top_k
from flamingo_jax.evaluation.metrics.bleu import bleu_counts
from flamingo_jax.evaluation.metrics.bootstrap import Measure, mean_of
from flamingo_jax.evaluation.metrics.cider import cider
from flamingo_jax.evaluation.metrics.exact_match import exact_match
from flamingo_jax.evaluation.metrics.ivqa_accuracy import ivqa_accuracy
from flamingo_jax.evaluation.metrics.mean_weighted_average_precision import (
    MeanWeightedAveragePrecision,
)
from flamingo_jax.evaluation.metrics.ndcg import ndcg
from flamingo_jax.evaluation.metrics.retrieval import recall_at
from flamingo_jax.evaluation.metrics.roc_auc import RocAuc
from flamingo_jax.evaluation.metrics.rouge import rouge_l
from flamingo_jax.evaluation.metrics.vqa_accuracy import (
    capped_vqa_accuracy,
    vizwiz_accuracy,
    vqa_accuracy,
)
from flamingo_jax.evaluation.metrics.wordnet import WordNet
from flamingo_jax.evaluation.metrics.wups import wups
from flamingo_jax.evaluation.official_formats import answers, captions, rankings, vqa
from flamingo_jax.evaluation.official_formats.files import Id


@dataclasses.dataclass(frozen=True, kw_only=True)
class Files:
    """What a measure reads; empty for what it does not.

    Attributes:
      annotations: what is right.
      results: what was predicted.
      questions: the questions (VQA; only their ids are looked at).
      additional: further right answers (NExT-OE).
      stop_words: file of words to leave out, one a line (NExT-OE).
      wordnet: folder of WordNet (NExT-OE).
    """

    annotations: str
    results: str
    questions: str = ""
    additional: str = ""
    stop_words: str = ""
    wordnet: str = ""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Scored:
    """A measured number with what its confidence interval is drawn from.

    Attributes:
      value: in points.
      n: number of items (of classes for mWAP).
      measure: the value of resamples of `num_drawn` units.
      num_drawn: how many units there are to draw from: items, or RareAct's videos.
      per_item: (id, points) of every item; None where an item has no score of its own.
      warnings: what the user should know of the files, each in one line.
    """

    value: float
    n: int
    measure: Measure
    num_drawn: int
    per_item: tuple[tuple[Id, float], ...] | None
    warnings: tuple[str, ...] = ()


def _mean(ids: Sequence[Id], scores_N: np.ndarray, warnings: tuple[str, ...] = ()) -> Scored:
    return Scored(
        value=float(scores_N.mean()),
        n=len(ids),
        measure=mean_of(scores_N),
        num_drawn=len(ids),
        per_item=tuple(zip(ids, scores_N.tolist(), strict=True)),
        warnings=warnings,
    )


def _read_captions(files: Files) -> tuple[captions.Captions, tuple[str, ...]]:
    read = captions.read_captions(files.annotations, files.results)
    if not read.num_without:
        return read, ()
    return read, (
        f"{read.num_without} of {read.num_without + len(read.ids)} annotated images have no result;"
        " as in coco-caption, only those with a result are scored",
    )


def _score_captions(
    metric: Callable[[Sequence[str], Sequence[Sequence[str]]], np.ndarray],
) -> Callable[[Files], Scored]:
    def score(files: Files) -> Scored:
        read, warnings = _read_captions(files)
        return _mean(read.ids, metric(read.predictions, read.references), warnings)

    return score


def _score_bleu(n: int) -> Callable[[Files], Scored]:
    def score(files: Files) -> Scored:
        read, warnings = _read_captions(files)
        counts = bleu_counts(read.predictions, read.references)
        per_item = counts.per_item()[:, n - 1].tolist()
        return Scored(
            value=float(counts.corpus()[0, n - 1]),
            n=len(read.ids),
            measure=lambda draws_RN: counts.corpus(draws_RN)[:, n - 1],
            num_drawn=len(read.ids),
            per_item=tuple(zip(read.ids, per_item, strict=True)),
            warnings=warnings,
        )

    return score


def _score_vqa(files: Files) -> Scored:
    read = vqa.read_vqa(files.annotations, files.results, files.questions)
    return _mean(read.ids, vqa_accuracy(read.predictions, read.answers, read.people))


def _score_other_vqa(
    metric: Callable[[Sequence[str], Sequence[Sequence[str]]], np.ndarray],
) -> Callable[[Files], Scored]:
    def score(files: Files) -> Scored:
        read = vqa.read_vqa(files.annotations, files.results, files.questions)
        return _mean(read.ids, metric(read.predictions, read.answers))

    return score


def _score_exact_match(files: Files) -> Scored:
    read = answers.read_answers(files.annotations, files.results)
    return _mean(read.ids, exact_match(read.predictions, read.references))


def _score_ivqa(files: Files) -> Scored:
    read = answers.read_ivqa(files.annotations, files.results)
    return _mean(read.ids, ivqa_accuracy(read.predictions, read.references))


def _score_wups(alpha: float) -> Callable[[Files], Scored]:
    def score(files: Files) -> Scored:
        if not files.wordnet:
            raise UserError(
                "--wordnet is missing; it names the folder of WordNet 3.0 (on Debian and Ubuntu:"
                " apt-get install wordnet-base, then --wordnet=/usr/share/wordnet)"
            )
        read = answers.read_next_qa(files.annotations, files.results, files.additional)
        stop_words, warnings = _read_stop_words(files.stop_words)
        scores = wups(
            read.predictions,
            read.references,
            WordNet(files.wordnet),
            needs_same_words=[kind in answers.SAME_WORDS_TYPES for kind in read.types],
            stop_words=stop_words,
            alpha=alpha,
        )
        return _mean(read.ids, scores, warnings)

    return score


def _read_stop_words(path: str) -> tuple[list[str], tuple[str, ...]]:
    if not path:
        return [], (
            "no --stop_words: NExT-OE's evaluation leaves out the words of its stopwords.txt",
        )
    try:
        with open(path, encoding="utf-8") as file:
            return file.read().splitlines(), ()
    except OSError as error:
        raise UserError(f"--stop_words={path}: {error.strerror or error}") from None


def _score_labelled(
    metric: Callable[[Sequence[np.ndarray], Sequence[int]], np.ndarray],
) -> Callable[[Files], Scored]:
    def score(files: Files) -> Scored:
        read = rankings.read_labelled(files.annotations, files.results)
        return _mean(read.ids, metric(read.scores, read.right))

    return score


def _score_roc_auc(files: Files) -> Scored:
    read = rankings.read_hateful_memes(files.annotations, files.results)
    if np.isnan(read.scores).any():
        raise UserError(f"--results={files.results}: a score is NaN")
    area = RocAuc(read.scores, read.right)
    return Scored(
        value=area.value(),
        n=len(read.ids),
        measure=area.of_draws,
        num_drawn=len(read.ids),
        per_item=None,
    )


def _score_ndcg(files: Files) -> Scored:
    read = rankings.read_visdial(files.annotations, files.results)
    return _mean(read.ids, ndcg(read.scores, read.right))


def _score_mwap(files: Files) -> Scored:
    clips, scores = rankings.read_rareact(files.annotations, files.results)
    if not any(clip.annotation == 1 for clip in clips):
        raise UserError(f"--annotations={files.annotations}: no clip is positive")
    precision = MeanWeightedAveragePrecision(clips, scores)
    per_class = precision.per_class()
    names = [f"{verb} {noun}" for verb, noun in precision.classes]
    return Scored(
        value=float(per_class.mean()),
        n=len(names),
        measure=precision.of_draws,
        num_drawn=precision.num_videos,
        per_item=tuple(zip(names, per_class.tolist(), strict=True)),
    )


def _score_recall(direction: str, k: int) -> Callable[[Files], Scored]:
    def score(files: Files) -> Scored:
        read, similarity, is_match = rankings.read_retrieval(files.annotations, files.results)
        recall = recall_at(k, similarity, is_match)
        if direction == "image_to_text":
            return _mean(read.ids, recall.image_to_text)
        return _mean(read.right, recall.text_to_image)

    return score


METRICS: Mapping[str, Callable[[Files], Scored]] = {
    "cider": _score_captions(cider),
    **{f"bleu{n}": _score_bleu(n) for n in (1, 2, 3, 4)},
    "rouge_l": _score_captions(rouge_l),
    "vqa": _score_vqa,
    "vqa_capped": _score_other_vqa(capped_vqa_accuracy),
    "vizwiz": _score_other_vqa(vizwiz_accuracy),
    "exact_match": _score_exact_match,
    "ivqa": _score_ivqa,
    "wups": _score_wups(alpha=0.0),
    "wups_0.9": _score_wups(alpha=0.9),
    "top1": _score_labelled(lambda scores, labels: top_k(scores, labels, k=1)),
    "top5": _score_labelled(lambda scores, labels: top_k(scores, labels, k=5)),
    "mean_top1_top5": _score_labelled(mean_top1_top5),
    "roc_auc": _score_roc_auc,
    "ndcg": _score_ndcg,
    "mwap": _score_mwap,
    **{
        f"{direction}_recall_at_{k}": _score_recall(direction, k)
        for direction in ("image_to_text", "text_to_image")
        for k in (1, 5, 10)
    },
}
"""Measures by name: from files to a number."""
