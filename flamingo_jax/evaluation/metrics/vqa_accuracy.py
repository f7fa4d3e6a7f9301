"""VQA accuracy with the normalisation and the leave-one-out rule of the official evaluation.

Follows the behaviour of `PythonEvaluationTools/vqaEvaluation/vqaEval.py` of the VQA repository
(GT-Vision-Lab/VQA), including its oddities, each of which is named where it is followed. The paper
reports it for VQAv2, OKVQA, TextVQA and VizWiz (appendix, table 6).

The persons of an item are told apart by position, or by what is given of them. The official code
compares whole annotations, which comes to the same where answers are numbered (VQA, TextVQA); in
files whose answers carry no number (VizWiz in the format of VQA), it takes equal answers of equal
confidence for one person and scores lower. VizWiz's own evaluation counts by position and
normalises the prediction alone: `vizwiz_accuracy`.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Mapping, Sequence

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


def _curly_restorations() -> dict[str, str]:
    """The table of VizWiz's evaluation, where a word processor has curled most apostrophes."""
    straight = {"ain't", "aren't", "can't", "could've", "couldn't", "we've", "where's", "who've"}
    curly = {}
    for word, restored in _RESTORATIONS.items():
        key = word if word in ("couldn'tve", "hadn'tve") else word.replace("'", "\u2019")
        curly[key] = restored if restored in straight else restored.replace("'", "\u2019")
    return curly


_CURLY_RESTORATIONS = _curly_restorations()


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
    return _normalise(_strip(answer), _RESTORATIONS)


def _normalise(answer: str, restorations: Mapping[str, str]) -> str:
    without = answer
    has_digit_comma = _DIGIT_COMMA_DIGIT.search(answer) is not None
    for mark in _PUNCTUATION:
        stands_free = f"{mark} " in answer or f" {mark}" in answer
        without = without.replace(mark, "" if stands_free or has_digit_comma else " ")
    without = _STOP_BEFORE_NO_DIGIT.sub("", without, count=_MOST_STOPS_REMOVED)
    words = (_NUMBER_WORDS.get(word, word) for word in without.lower().split())
    return " ".join(restorations.get(word, word) for word in words if word not in _ARTICLES)


def vqa_accuracy(
    predictions: Sequence[str],
    answers: Sequence[Sequence[str]],
    people: Sequence[Sequence[Hashable]] | None = None,
) -> np.ndarray:
    """Scores each prediction against the answers of several people.

    For each person in turn, the prediction scores min(1, matches among the others / 3); the item's
    score is the mean over the persons. As in the official code, nothing but case and outer spaces
    is normalised when all answers of the item are the same text.

    Args:
      predictions: generated answers, one per item.
      answers: the answers of people, ten per item in the VQA data sets. A world with one right
        answer passes it ten times.
      people: what else the annotations say of each person, such as confidence and number. Persons
        of whom the same is said, answer included, count as one. Default: all are different.

    Returns:
      float64 [N] in points: 100 for an answer that at least four gave, 90 for three, 60 for two,
      30 for one (of ten), 0 for none.

    Raises:
      TypeError: the answers of an item are a bare string.
      ValueError: no items, different lengths, or fewer than four answers, with which no prediction
        could reach 100.
    """
    check_items(predictions, answers)
    if people is None:
        people = [range(len(texts)) for texts in answers]
    items = zip(predictions, answers, people, strict=True)
    return POINTS * np.asarray([_score(*item) for item in items])


def vizwiz_accuracy(predictions: Sequence[str], answers: Sequence[Sequence[str]]) -> np.ndarray:
    """As `vqa_accuracy`, with the text rules of VizWiz's own evaluation.

    The prediction is always normalised, the people's answers never, and case counts.

    Args:
      predictions: generated answers, one per item.
      answers: the answers of people, at least four per item.

    Returns:
      float64 [N] in points.

    Raises:
      TypeError: the answers of an item are a bare string.
      ValueError: no items, different lengths, or fewer than four answers.
    """
    check_items(predictions, answers)
    scores = []
    for prediction, texts in zip(predictions, answers, strict=True):
        _check_number(texts)
        normalised = _normalise(_strip(prediction), _CURLY_RESTORATIONS)
        scores.append(_leave_one_out([text == normalised for text in texts]))
    return POINTS * np.asarray(scores)


def capped_vqa_accuracy(predictions: Sequence[str], answers: Sequence[Sequence[str]]) -> np.ndarray:
    """min(1, matches / 3), without leaving anybody out: how OK-VQA is often scored.

    OK-VQA's own evaluation is that of VQA (`vqa_accuracy`); its ten answers are those of five
    people, each twice.

    Args:
      predictions: generated answers, one per item.
      answers: the answers of people; prediction and answers are always normalised.

    Returns:
      float64 [N] in points: 100, 66.7, 33.3 or 0.

    Raises:
      TypeError: the answers of an item are a bare string.
      ValueError: no items, different lengths, or an item without an answer.
    """
    check_items(predictions, answers)
    scores = []
    for prediction, texts in zip(predictions, answers, strict=True):
        normalised = normalise(prediction)
        matches = sum(normalise(text) == normalised for text in texts)
        scores.append(min(1.0, matches / MATCHES_FOR_FULL_SCORE))
    return POINTS * np.asarray(scores)


def _score(prediction: str, answers: Sequence[str], people: Sequence[Hashable]) -> float:
    _check_number(answers)
    prediction, answers = _strip(prediction), [_strip(answer) for answer in answers]
    if len(set(answers)) > 1:
        prediction, answers = normalise(prediction), [normalise(answer) for answer in answers]
    matches = [answer.lower() == prediction.lower() for answer in answers]
    persons = list(zip(answers, people, strict=True))
    if len(set(persons)) == len(persons):
        return _leave_one_out(matches)
    total = 0.0
    for person in persons:
        others = zip(persons, matches, strict=True)
        total += _capped(sum(match for other, match in others if other != person))
    return total / len(persons)


def _check_number(answers: Sequence[str]) -> None:
    if len(answers) <= MATCHES_FOR_FULL_SCORE:
        raise ValueError(f"{len(answers)} answers {list(answers)}; VQA accuracy needs at least 4")


def _leave_one_out(matches: Sequence[bool]) -> float:
    # Leaving out a person who gave the answer takes one match away.
    return sum(_capped(sum(matches) - own) for own in matches) / len(matches)


def _capped(matches: int) -> float:
    return min(1.0, matches / MATCHES_FOR_FULL_SCORE)


def _strip(text: str) -> str:
    return text.replace("\n", " ").replace("\t", " ").strip()
