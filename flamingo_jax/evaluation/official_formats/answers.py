"""Short answers: lists of right and predicted ones, iVQA's table, NExT-OE's tables.

MSVD-QA and MSRVTT-QA give out `[{"id", "answer", ...}]`, which is read as it is; `answers` may
stand for `answer`, with several right ones. iVQA is a CSV file with `video_id` and `answer1` to
`answer5`. Results are `[{"id", "answer"}]` (for iVQA `video_id` in the place of `id`). NExT-OE has
CSV files with `video`, `qid`, `answer` and `type`, further right answers as `{video: {qid:
answer}}`, and the same form for results.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from flamingo_jax.evaluation.official_formats import files
from flamingo_jax.evaluation.official_formats.files import Id

SAME_WORDS_TYPES = ("DB", "DC")
"""NExT-OE's types of questions that are right or wrong: yes or no, and counts."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Answers:
    """Predicted answers with the right ones, in the order of the annotations.

    Attributes:
      ids: of the questions.
      predictions: the predicted answer of each.
      references: the right answers of each.
      types: type of each question, empty where the format has none.
    """

    ids: tuple[Id, ...]
    predictions: tuple[str, ...]
    references: tuple[tuple[str, ...], ...]
    types: tuple[str, ...] = ()


def read_answers(annotations: str, results: str) -> Answers:
    """Reads and joins lists of answers.

    Args:
      annotations: `[{"id", "answer" or "answers"}]`.
      results: `[{"id", "answer"}]`.

    Raises:
      UserError: a file is missing or has another form, or an id is unknown, comes twice, or has no
        result.
    """
    content = files.read_json(annotations, "annotations")
    right = files.fields(
        annotations,
        "annotations",
        'a list of {"id", "answer"} or {"id", "answers"}',
        lambda: [(row["id"], _references(row)) for row in content],
    )
    return _join(files.by_id(right, annotations, "annotations"), results, "id")


def read_ivqa(annotations: str, results: str) -> Answers:
    """Reads and joins iVQA's table and results.

    Args:
      annotations: CSV with `video_id` and `answer1` to `answer5`; a video has one question.
      results: `[{"video_id", "answer"}]`.

    Raises:
      UserError: as in `read_answers`.
    """
    rows = files.read_table(annotations, "annotations")
    right = files.fields(
        annotations,
        "annotations",
        "iVQA's columns video_id and answer1 to answer5",
        lambda: [
            (row["video_id"], tuple(row[f"answer{number}"] for number in range(1, 6)))
            for row in rows
        ],
    )
    return _join(files.by_id(right, annotations, "annotations"), results, "video_id")


def read_next_qa(annotations: str, results: str, additional: str = "") -> Answers:
    """Reads and joins NExT-OE's tables and results; ids are "video/question".

    Args:
      annotations: CSV with `video`, `qid`, `answer` and `type`.
      results: `{video: {qid: answer}}`.
      additional: file of further right answers, `{video: {qid: answer}}`.

    Raises:
      UserError: as in `read_answers`.
    """
    rows = files.read_table(annotations, "annotations")
    table = files.fields(
        annotations,
        "annotations",
        "NExT-OE's columns video, qid, answer and type",
        lambda: [
            (f"{row['video']}/{row['qid']}", (str(row["answer"]), str(row["type"]))) for row in rows
        ],
    )
    right = files.by_id(table, annotations, "annotations")
    predicted = _read_nested(results, "results")
    others = _read_nested(additional, "additional") if additional else {}
    files.check_known(predicted, right, results)
    files.check_complete(predicted, right, results)
    return Answers(
        ids=tuple(right),
        predictions=tuple(predicted[key] for key in right),
        references=tuple(
            (answer, others[key]) if key in others else (answer,)
            for key, (answer, _) in right.items()
        ),
        types=tuple(kind for _, kind in right.values()),
    )


def _read_nested(path: str, flag: str) -> dict[Id, str]:
    content = files.read_json(path, flag)
    pairs = files.fields(
        path,
        flag,
        "NExT-OE's {video: {question: answer}}",
        lambda: [
            (f"{video}/{question}", _text(answer))
            for video, answers in content.items()
            for question, answer in answers.items()
        ],
    )
    return files.by_id(pairs, path, flag)


def _join(right: dict[Id, tuple[str, ...]], results: str, key: str) -> Answers:
    content = files.read_json(results, "results")
    pairs = files.fields(
        results,
        "results",
        f'a list of {{"{key}", "answer"}}',
        lambda: [(row[key], _text(row["answer"])) for row in content],
    )
    predicted = files.by_id(pairs, results, "results")
    files.check_known(predicted, right, results)
    files.check_complete(predicted, right, results)
    return Answers(
        ids=tuple(right),
        predictions=tuple(predicted[item] for item in right),
        references=tuple(right.values()),
    )


def _references(row: dict[str, Any]) -> tuple[str, ...]:
    if "answers" not in row:
        return (_text(row["answer"]),)
    answers = tuple(_text(answer) for answer in row["answers"])
    if isinstance(row["answers"], str) or not answers:
        raise ValueError(f"the answers {row['answers']!r} are not a list of some")
    return answers


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"the answer {value!r} is not a string")
    return value
