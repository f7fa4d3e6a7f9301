"""VQA accuracy with the normalisation and the leave-one-out rule of the official evaluation.

Follows the behaviour of `PythonEvaluationTools/vqaEvaluation/vqaEval.py` of the VQA repository
(GT-Vision-Lab/VQA), including its oddities, each of which is named where it is followed. The paper
reports it for VQAv2, OKVQA, TextVQA and VizWiz (appendix, table 6).

The persons of an item are told apart by position. The official code compares whole annotations,
which comes to the same where answers are numbered (VQA, TextVQA); in files whose answers carry no
number (VizWiz), it takes equal answers of equal confidence for one person and scores lower.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from flamingo_jax.evaluation.metrics.items import POINTS, check_items

MATCHES_FOR_FULL_SCORE = 3
"""An answer counts in full when three of the other people gave it."""

_PUNCTUATION = tuple(';/[]"{}()=+\\_-><@`,?!')
_DIGIT_COMMA_DIGIT = re.compile(r"\d,\d")
_STOP_BEFORE_NO_DIGIT = re.compile(r"\.(?!\d)")
# The official code passes `re.UNICODE`, whose value is 32, where `re.sub` takes the count.
_MOST_STOPS_REMOVED = 32
_ARTICLES = frozenset({"a", "an", "the"})
_NUMBER_WORDS = {"none": "0"} | {
    word: str(number)
    for number, word in enumerate(
        ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]
    )
}
# Words that lose an apostrophe when people type. A word that lacks exactly one of the apostrophes
# gets it back: `dont` and `couldn'tve`. The official list has "I'm", "I've" and "I'd've" as well,
# but looks them up with a capital after lowercasing, so they never match and stay out of here;
# "it's", "she's" and "let's" are not restored, since "its" and "lets" are words.
_CONTRACTED = """
    ain't aren't can't could've couldn't couldn't've didn't doesn't don't hadn't hadn't've hasn't
    haven't he'd he'd've he's how'd how'll how's isn't it'd it'd've it'll ma'am mightn't
    mightn't've might've mustn't must've needn't not've o'clock oughtn't 'ow's'at shan't she'd've
    should've shouldn't shouldn't've somebody'd've somebody'll somebody's someone'd someone'd've
    someone'll someone's something'd something'd've something'll that's there'd there'd've there're
    there's they'd they'd've they'll they're they've 'twas wasn't we'd've we've weren't what'll
    what're what's what've when's where'd where's where've who'd who'd've who'll who's who've
    why'll why're why's won't would've wouldn't wouldn't've y'all y'all'll y'all'd've you'd
    you'd've you'll you're you've
"""


def _restorations() -> dict[str, str]:
    restored = {}
    for word in _CONTRACTED.split():
        for position, letter in enumerate(word):
            if letter == "'":
                restored[word[:position] + word[position + 1 :]] = word
    # The one entry that takes an apostrophe away.
    restored["somebody'd"] = "somebodyd"
    return restored


_RESTORATIONS = _restorations()


def normalise(answer: str) -> str:
    """Brings an answer into the form in which the official evaluation compares.

    Punctuation goes (replaced by a space, or by nothing where it stands beside a space or where
    the answer has a comma between digits), full stops that no digit follows go, case goes, number
    words up to ten and `none` become digits, the articles go, and contractions get their
    apostrophe back.

    Args:
      answer: an answer.

    Returns:
      The normalised answer; words are separated by one space.
    """
    answer = _strip(answer)
    without = answer
    has_digit_comma = _DIGIT_COMMA_DIGIT.search(answer) is not None
    for mark in _PUNCTUATION:
        stands_free = f"{mark} " in answer or f" {mark}" in answer
        without = without.replace(mark, "" if stands_free or has_digit_comma else " ")
    without = _STOP_BEFORE_NO_DIGIT.sub("", without, count=_MOST_STOPS_REMOVED)
    words = (_NUMBER_WORDS.get(word, word) for word in without.lower().split())
    return " ".join(_RESTORATIONS.get(word, word) for word in words if word not in _ARTICLES)


def vqa_accuracy(predictions: Sequence[str], answers: Sequence[Sequence[str]]) -> np.ndarray:
    """Scores each prediction against the answers of several people.

    For each person in turn, the prediction scores min(1, matches among the others / 3); the item's
    score is the mean over the persons. As in the official code, nothing but case and outer spaces
    is normalised when all answers of the item are the same text.

    Args:
      predictions: generated answers, one per item.
      answers: the answers of people, ten per item in the VQA data sets. A world with one right
        answer passes it ten times.

    Returns:
      float64 [N] in points: 100 for an answer that at least four gave, 90 for three, 60 for two,
      30 for one (of ten), 0 for none.

    Raises:
      TypeError: the answers of an item are a bare string.
      ValueError: no items, different lengths, or fewer than four answers, with which no prediction
        could reach 100.
    """
    check_items(predictions, answers)
    return POINTS * np.asarray(
        [_score(prediction, texts) for prediction, texts in zip(predictions, answers, strict=True)]
    )


def _score(prediction: str, answers: Sequence[str]) -> float:
    if len(answers) <= MATCHES_FOR_FULL_SCORE:
        raise ValueError(f"{len(answers)} answers {list(answers)}; VQA accuracy needs at least 4")
    prediction, answers = _strip(prediction), [_strip(answer) for answer in answers]
    if len(set(answers)) > 1:
        prediction, answers = normalise(prediction), [normalise(answer) for answer in answers]
    matches = [answer.lower() == prediction.lower() for answer in answers]
    # Leaving out a person who gave the answer takes one match away.
    scores = [min(1.0, (sum(matches) - own) / MATCHES_FOR_FULL_SCORE) for own in matches]
    return sum(scores) / len(scores)


def _strip(text: str) -> str:
    return text.replace("\n", " ").replace("\t", " ").strip()
