"""Mean weighted average precision (mWAP), the measure of RareAct.

Follows the behaviour of `compute_score.py` of antoine77340/RareAct. Each class, a verb with a noun,
is a ranking of clips: its own positives; as hard negatives the clips in which people saw only the
verb or only the noun, and the positives of classes with the same verb or the same noun; as
negatives the others. A clip weighs one over the number of clips that its video has in its group.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Sequence

import numpy as np

from flamingo_jax.evaluation.metrics.items import POINTS

NEGATIVE, POSITIVE = 0, 1
"""Annotations of a clip. 2 (only the verb), 3 (only the noun), 4 (both apart): hard negatives."""

_BLOCK = 100  # resamples at a time: each takes the weights of all clips


@dataclasses.dataclass(frozen=True, kw_only=True)
class AnnotatedClip:
    """One row of RareAct's table.

    Attributes:
      video: the video that the clip is from.
      verb: of the class that the clip was looked at for.
      noun: likewise.
      class_id: the class's column of scores.
      annotation: what people saw, 0 to 4.
    """

    video: str
    verb: str
    noun: str
    class_id: int
    annotation: int


@dataclasses.dataclass(frozen=True)
class _Ranking:
    """One class: its clips from the best score down, and where groups of equal scores begin."""

    videos: np.ndarray
    weights: np.ndarray
    is_positive: np.ndarray
    groups: np.ndarray


class MeanWeightedAveragePrecision:
    """The measure of fixed scores, and of what is drawn from the videos.

    Attributes:
      classes: the (verb, noun) pairs that have a positive clip.
      num_videos: videos to draw from.
    """

    def __init__(self, clips: Sequence[AnnotatedClip], scores_NC: np.ndarray) -> None:
        """Ranks the clips of each class.

        Args:
          clips: the table.
          scores_NC: score of each clip in each class, by `class_id`.

        Raises:
          ValueError: the scores do not fit the table, one is NaN, or no clip is positive.
        """
        scores_NC = np.asarray(scores_NC, dtype=np.float64)
        num_classes = max((clip.class_id for clip in clips), default=-1) + 1
        if scores_NC.ndim != 2 or len(scores_NC) != len(clips) or num_classes > scores_NC.shape[1]:
            raise ValueError(
                f"scores of shape {scores_NC.shape} for {len(clips)} clips, {num_classes} classes"
            )
        if np.isnan(scores_NC).any():
            raise ValueError("a score is NaN")
        names = sorted({clip.video for clip in clips})
        numbers = {name: number for number, name in enumerate(names)}
        videos_N = np.asarray([numbers[clip.video] for clip in clips])
        class_ids = {(clip.verb, clip.noun): clip.class_id for clip in clips}
        rankings = {
            action: _rank(action, clips, videos_N, scores_NC[:, class_id])
            for action, class_id in class_ids.items()
            if any(_group(clip, action) == "positive" for clip in clips)
        }
        if not rankings:
            raise ValueError("no clip is positive")
        self.classes = tuple(rankings)
        self.num_videos = len(names)
        self._rankings = tuple(rankings.values())

    def per_class(self) -> np.ndarray:
        """Weighted average precision of each class in points, float64 [len(classes)]."""
        return self._of_draws(np.ones((1, self.num_videos)))[0]

    def of_draws(self, draws_RV: np.ndarray) -> np.ndarray:
        """The mean over the classes when videos are drawn.

        Args:
          draws_RV: how often each video is drawn.

        Returns:
          float64 [R] in points. A class of which no positive clip was drawn is left out; NaN where
          that is so of all classes.
        """
        blocks = range(0, len(draws_RV), _BLOCK)
        precision_RC = np.concatenate(
            [self._of_draws(draws_RV[start : start + _BLOCK]) for start in blocks]
        )
        num_R = (~np.isnan(precision_RC)).sum(axis=1)
        total_R = np.nansum(precision_RC, axis=1)
        return np.divide(total_R, num_R, out=np.full_like(total_R, np.nan), where=num_R > 0)

    def _of_draws(self, draws_RV: np.ndarray) -> np.ndarray:
        return POINTS * np.stack(
            [_average_precision(ranking, draws_RV) for ranking in self._rankings], axis=1
        )


def _group(clip: AnnotatedClip, action: tuple[str, str]) -> str | None:
    """What a clip is to a class; None if it was looked at for another class and not positive."""
    if (clip.verb, clip.noun) == action:
        groups = {NEGATIVE: "negative", POSITIVE: "positive"}
        return groups.get(clip.annotation, "hard negative")
    if clip.annotation != POSITIVE:
        return None
    shares_one = clip.verb == action[0] or clip.noun == action[1]
    return "hard negative" if shares_one else "negative"


def _rank(
    action: tuple[str, str],
    clips: Sequence[AnnotatedClip],
    videos_N: np.ndarray,
    scores_N: np.ndarray,
) -> _Ranking:
    groups = [_group(clip, action) for clip in clips]
    # A video's clips share its weight within each group, not over all of them.
    sizes = Counter((group, clip.video) for group, clip in zip(groups, clips, strict=True))
    members = [number for number, group in enumerate(groups) if group is not None]
    members.sort(key=lambda number: -scores_N[number])
    ordered = scores_N[members]
    return _Ranking(
        videos=videos_N[members],
        weights=np.asarray([1 / sizes[groups[n], clips[n].video] for n in members]),
        is_positive=np.asarray([groups[n] == "positive" for n in members]),
        groups=np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]]),
    )


def _average_precision(ranking: _Ranking, draws_RV: np.ndarray) -> np.ndarray:
    """Sum of precision times the step in recall at each score, as scikit-learn has it; [R]."""
    weights_RN = draws_RV[:, ranking.videos] * ranking.weights
    all_RG = np.add.reduceat(weights_RN, ranking.groups, axis=1)
    right_RG = np.add.reduceat(weights_RN * ranking.is_positive, ranking.groups, axis=1)
    seen_RG, found_RG = np.cumsum(all_RG, axis=1), np.cumsum(right_RG, axis=1)
    precision_RG = np.divide(found_RG, seen_RG, out=np.zeros_like(seen_RG), where=seen_RG > 0)
    total_R = found_RG[:, -1]
    gained_R = (right_RG * precision_RG).sum(axis=1)
    return np.divide(gained_R, total_R, out=np.full_like(total_R, np.nan), where=total_R > 0)
