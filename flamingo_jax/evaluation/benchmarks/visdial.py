"""VisDial 1.0: dialogs about pictures, each with one round whose 100 answers were judged.

    visdial_1.0_val.json: {"data": {"questions": [...], "answers": [...], "dialogs": [
        {"image_id": 284024, "caption": "...", "dialog": [
            {"question": 12, "answer": 7, "answer_options": [100 numbers], "gt_index": 3}, ...]}]}}
    visdial_1.0_val_dense_annotations.json: [
        {"image_id": 284024, "round_id": 5, "gt_relevance": [100 numbers]}, ...]

Questions and answers stand in the dialogs as numbers of the two lists; rounds are counted from 1.
A query is the judged round of a dialog; a shot is a whole dialog of ten rounds, the last of which
it asks. `Item.history` is the caption, then question and answer of each earlier round in turn.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from flamingo_jax.core.errors import UserError
from flamingo_jax.evaluation.benchmarks import records, sampling
from flamingo_jax.evaluation.benchmarks.benchmark import Benchmark, Item
from flamingo_jax.evaluation.benchmarks.benchmark_folder import BenchmarkFolder, Origin

VISDIAL = Origin(
    name="visdial",
    where="https://visualdialog.org/data",
    layout=(
        "visdial_1.0_{train,val}.json, visdial_1.0_val_dense_annotations.json (for the split"
        " 'validation' visdial_1.0_train_dense_annotations.json), VisualDialog_val2018/, and COCO's"
        " train2014/ and val2014/ (or in ../coco/)"
    ),
)

_VAL = "val"
_TRAIN = "train"
_VAL_PICTURES = "VisualDialog_val2018"
# The training dialogs are about pictures of both of COCO's sets; which one, no file says.
_TRAIN_PICTURES = ("train2014", "val2014")
_MAX_ROUNDS = 1_000

_Place = str


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Judgement:
    """The judged round of a dialog, from 1, and the share of people who found each answer right."""

    round_id: int
    relevance: tuple[float, ...]
    place: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Dialogs:
    """A file of dialogs. What no item needs is never looked at.

    Attributes:
      by_image: the dialogs as they stand in the file, by the id of their picture, in its order.
      questions: all questions.
      answers: all answers.
      place: of the file, for messages.
    """

    by_image: Mapping[str, tuple[_Place, dict[str, Any]]]
    questions: Sequence[Any]
    answers: Sequence[Any]
    place: _Place

    def turns(self, image_id: str) -> list[tuple[_Place, dict[str, Any]]]:
        """The rounds of a dialog, at least one."""
        place, dialog = self.by_image[image_id]
        found = list(records.objects(records.items(dialog, "dialog", place), f"{place}.dialog"))
        if not found:
            raise UserError(f"{place} has no rounds")
        return found

    def question(self, turn: dict[str, Any], place: _Place) -> str:
        """What a round asks."""
        number = records.whole_number(turn, "question", len(self.questions), place)
        return records.clean(self.questions[number], f"questions[{number}]", self.place)

    def answer(self, turn: dict[str, Any], place: _Place) -> str:
        """What was answered."""
        number = records.whole_number(turn, "answer", len(self.answers), place)
        return self._answer(number)

    def options(self, turn: dict[str, Any], place: _Place) -> tuple[str, ...]:
        """The answers to choose from."""
        numbers = records.items(turn, "answer_options", place)
        return tuple(
            self._answer(records.in_range(number, "an option", len(self.answers), place))
            for number in numbers
        )

    def _answer(self, number: int) -> str:
        return records.clean(self.answers[number], f"answers[{number}]", self.place)

    def item(self, image_id: str, medium: str, num_turns: int) -> Item:
        """A dialog as far as round `num_turns`, which is asked; without its options."""
        place, dialog = self.by_image[image_id]
        turns = self.turns(image_id)
        history = [records.text(dialog, "caption", place)]
        for where, turn in turns[: num_turns - 1]:
            history += [self.question(turn, where), self.answer(turn, where)]
        where, turn = turns[num_turns - 1]
        return Item(
            id=image_id,
            medium=medium,
            question=self.question(turn, where),
            history=tuple(history),
            answers=(self.answer(turn, where),),
        )


def read_visdial(folder: str, split: str) -> Benchmark:
    """VisDial.

    Args:
      folder: see `VISDIAL.layout`.
      split: "test" (all of "val") or "validation" (1,024 of the training dialogs that have a judged
        round).

    Raises:
      UserError: see `catalog.open_benchmark`.
    """
    sampling.check_split(VISDIAL.name, split, _VAL)
    here = BenchmarkFolder(VISDIAL, folder)
    is_validation = split == sampling.VALIDATION
    judged = _read_judgements(here, _TRAIN) if is_validation else {}
    training = _read_dialogs(here, _TRAIN, judged)
    # The judged dialogs are few and the only ones to ask, so shots are taken of the others.
    shown = [image_id for image_id in training.by_image if image_id not in judged]
    slices = sampling.draw(VISDIAL.name, split, shown, num_queries=0)
    support = tuple(
        training.item(image_id, _train_name(image_id), len(training.turns(image_id)))
        for image_id in (shown[row] for row in slices.support)
    )
    train_pictures = here.pictures(
        *(here.media_folder(name, shared_with="coco") for name in _TRAIN_PICTURES),
        other_names=_other_train_names,
    )
    if is_validation:
        # The measure divides by the best that can be had, which is 0 where nothing is relevant.
        scored = [image_id for image_id, judgement in judged.items() if any(judgement.relevance)]
        asked = sampling.draw_queries(VISDIAL.name, split, scored, sampling.NUM_VALIDATION)
        judged = {image_id: judged[image_id] for image_id in asked}
        queries = _queries(training, judged, _train_name)
        query_media = train_pictures
    else:
        split = _VAL
        judged = _read_judgements(here, _VAL)
        dialogs = _read_dialogs(here, _VAL, judged)
        queries = _queries(dialogs, judged, _val_name)
        for image_id, (place, _) in dialogs.by_image.items():
            if image_id not in judged:
                raise UserError(f"{place}: dialog {image_id!r} has no dense annotation")
        query_media = here.pictures(here.media_folder(_VAL_PICTURES))
    return Benchmark(
        name=VISDIAL.name,
        split=split,
        queries=queries,
        support=support,
        query_media=query_media,
        support_media=train_pictures,
    )


def _read_dialogs(here: BenchmarkFolder, subset: str, judged: Collection[str]) -> _Dialogs:
    """The dialogs of a subset; only the judged ones keep the answers to choose from."""
    name = f"visdial_1.0_{subset}.json"
    place = here.place(name)

    def reduce(value: dict[str, Any]) -> dict[str, Any]:
        turns = value.get("dialog")
        if isinstance(turns, list) and str(value.get("image_id")) not in judged:
            for turn in turns:
                if isinstance(turn, dict):
                    turn.pop("answer_options", None)  # 100 numbers a round.
        return value

    content = records.expect(here.read_json(name, reduce), dict, "the content", place)
    data = records.expect(records.field(content, "data", place), dict, "data", place)
    by_image: dict[str, tuple[_Place, dict[str, Any]]] = {}
    listed = records.items(data, "dialogs", place)
    for where, dialog in records.objects(listed, f"{place} dialogs"):
        image_id = str(records.coco_number(dialog, "image_id", where))
        records.put_once(by_image, image_id, (where, dialog), "image_id", where)
    return _Dialogs(
        by_image=by_image,
        questions=records.items(data, "questions", place),
        answers=records.items(data, "answers", place),
        place=place,
    )


def _read_judgements(here: BenchmarkFolder, subset: str) -> dict[str, _Judgement]:
    """The dense annotations of a subset by the id of the picture, in the order of the file."""
    name = f"visdial_1.0_{subset}_dense_annotations.json"
    place = here.place(name)
    content = records.expect(here.read_json(name), list, "the content", place)
    found: dict[str, _Judgement] = {}
    for where, record in records.objects(content, place):
        # The file of `train` calls it differently from that of `val`.
        field = "gt_relevance" if "gt_relevance" in record else "relevance"
        judgement = _Judgement(
            round_id=records.whole_number(record, "round_id", _MAX_ROUNDS, where),
            relevance=tuple(
                records.number(value, field, where, least=0.0)
                for value in records.items(record, field, where)
            ),
            place=where,
        )
        image_id = str(records.coco_number(record, "image_id", where))
        records.put_once(found, image_id, judgement, "image_id", where)
    if not found:
        raise UserError(f"{place} has no annotations")
    return found


def _queries(
    dialogs: _Dialogs, judged: Mapping[str, _Judgement], name_of: Callable[[str], str]
) -> tuple[Item, ...]:
    """The judged rounds, in the order of the dialogs."""
    for image_id, judgement in judged.items():
        if image_id not in dialogs.by_image:
            raise UserError(
                f"{judgement.place}: there is no dialog about image_id {image_id!r} in"
                f" {dialogs.place}"
            )
    return tuple(
        _query(dialogs, image_id, judged[image_id], name_of(image_id))
        for image_id in dialogs.by_image
        if image_id in judged
    )


def _query(dialogs: _Dialogs, image_id: str, judgement: _Judgement, medium: str) -> Item:
    turns = dialogs.turns(image_id)
    if not 1 <= judgement.round_id <= len(turns):
        raise UserError(
            f"{judgement.place}: round_id is {judgement.round_id}; expected 1 to {len(turns)}"
        )
    place, turn = turns[judgement.round_id - 1]
    options = dialogs.options(turn, place)
    if len(options) != len(judgement.relevance):
        raise UserError(
            f"{judgement.place}: {len(judgement.relevance)} numbers, but the round has"
            f" {len(options)} answer_options ({place})"
        )
    if not any(judgement.relevance):
        raise UserError(f"{judgement.place}: no answer is relevant, so that none can be scored")
    return dataclasses.replace(
        dialogs.item(image_id, medium, judgement.round_id),
        candidates=options,
        label=records.whole_number(turn, "gt_index", len(options), place),
        details={"relevance": judgement.relevance, "round_id": judgement.round_id},
    )


def _val_name(image_id: str) -> str:
    return f"{_VAL_PICTURES}/{_VAL_PICTURES}_{int(image_id):012d}.jpg"


def _train_name(image_id: str, subset: str = _TRAIN_PICTURES[0]) -> str:
    return f"{subset}/COCO_{subset}_{int(image_id):012d}.jpg"


def _other_train_names(name: str) -> tuple[str, ...]:
    """Where else a picture of a training dialog may lie."""
    first, *others = _TRAIN_PICTURES
    return tuple(name.replace(first, other) for other in others)
