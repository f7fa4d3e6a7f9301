"""VQAv2 and OK-VQA: questions about COCO's pictures, in the form of the VQA challenge.

The paper asks VQAv2's test-dev, whose answers nobody gives out: where its questions are there, its
queries have no answers, and what the model says can only be sent in. Else `val` is asked.
"""

from __future__ import annotations

import functools

from flamingo_jax.evaluation.benchmarks import sampling, vqa_format
from flamingo_jax.evaluation.benchmarks.benchmark import Benchmark, Item
from flamingo_jax.evaluation.benchmarks.benchmark_folder import BenchmarkFolder, Origin
from flamingo_jax.evaluation.benchmarks.media_folders import MediaFolders

VQAV2 = Origin(
    name="vqav2",
    where="https://visualqa.org/download.html",
    layout=(
        "v2_OpenEnded_mscoco_{train2014,val2014}_questions.json,"
        " v2_mscoco_{train2014,val2014}_annotations.json, perhaps"
        " v2_OpenEnded_mscoco_test-dev2015_questions.json, and the pictures in train2014/,"
        " val2014/, test2015/ (or in ../coco/)"
    ),
)
OKVQA = Origin(
    name="okvqa",
    where="https://okvqa.allenai.org/download.html",
    layout=(
        "OpenEnded_mscoco_{train2014,val2014}_questions.json,"
        " mscoco_{train2014,val2014}_annotations.json, and the pictures in train2014/, val2014/ (or"
        " in ../coco/)"
    ),
)

VAL = "val"
TEST_DEV = "test-dev"

_TRAINING = "train2014"
_VALIDATION = "val2014"
_TEST_DEV_QUESTIONS = "v2_OpenEnded_mscoco_test-dev2015_questions.json"
_TEST_PICTURES = "test2015"


def read_vqav2(folder: str, split: str) -> Benchmark:
    """VQAv2.

    Args:
      folder: see `VQAV2.layout`.
      split: "test" ("test-dev" if its questions are there, else "val"), "test-dev", "val", or
        "validation" (1,024 training questions).

    Raises:
      UserError: see `catalog.open_benchmark`.
    """
    sampling.check_split(VQAV2.name, split, TEST_DEV, VAL)
    here = BenchmarkFolder(VQAV2, folder)
    if split == sampling.TEST:
        split = TEST_DEV if here.has(_TEST_DEV_QUESTIONS) else VAL
    drawn = _training(here, split, "v2_")
    if split == TEST_DEV:
        questions = vqa_format.read_questions(
            here, _TEST_DEV_QUESTIONS, vqa_format.coco_name(_TEST_PICTURES)
        )
        queries = vqa_format.query_items(questions, None)
        return _benchmark(here, split, queries, drawn[1], _TEST_PICTURES)
    if split == VAL:
        return _benchmark(here, split, _val(here, "v2_"), drawn[1], _VALIDATION)
    return _benchmark(here, split, *drawn, _TRAINING)


def read_okvqa(folder: str, split: str) -> Benchmark:
    """OK-VQA. Its answers are stemmed, as its metric has them; `raw_answers` are in `details`.

    Args:
      folder: see `OKVQA.layout`.
      split: "test" (all of "val") or "validation" (1,024 training questions).

    Raises:
      UserError: see `catalog.open_benchmark`.
    """
    sampling.check_split(OKVQA.name, split, VAL)
    here = BenchmarkFolder(OKVQA, folder)
    queries, support = _training(here, split, "")
    if split == sampling.VALIDATION:
        return _benchmark(here, split, queries, support, _TRAINING)
    return _benchmark(here, VAL, _val(here, ""), support, _VALIDATION)


def _training(
    here: BenchmarkFolder, split: str, prefix: str
) -> tuple[tuple[Item, ...], tuple[Item, ...]]:
    """Validation queries and support."""
    questions = vqa_format.read_questions(
        here, _questions(prefix, _TRAINING), vqa_format.coco_name(_TRAINING)
    )
    read_answers = functools.partial(vqa_format.answers_of, here, _annotations(prefix, _TRAINING))
    return vqa_format.draw_items(here.origin.name, split, questions, read_answers)


def _val(here: BenchmarkFolder, prefix: str) -> tuple[Item, ...]:
    questions = vqa_format.read_questions(
        here, _questions(prefix, _VALIDATION), vqa_format.coco_name(_VALIDATION)
    )
    answers = vqa_format.answers_of(here, _annotations(prefix, _VALIDATION), questions)
    return vqa_format.query_items(questions, answers)


def _questions(prefix: str, subset: str) -> str:
    return f"{prefix}OpenEnded_mscoco_{subset}_questions.json"


def _annotations(prefix: str, subset: str) -> str:
    return f"{prefix}mscoco_{subset}_annotations.json"


def _benchmark(
    here: BenchmarkFolder,
    split: str,
    queries: tuple[Item, ...],
    support: tuple[Item, ...],
    query_subset: str,
) -> Benchmark:
    def pictures(subset: str) -> MediaFolders:
        return here.pictures(here.media_folder(subset, shared_with="coco"))

    return Benchmark(
        name=here.origin.name,
        split=split,
        queries=queries,
        support=support,
        query_media=pictures(query_subset),
        support_media=pictures(_TRAINING),
    )
