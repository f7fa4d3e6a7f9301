"""VATEX and YouCook2: captions of clips.

VATEX (v1.0; its public test v1.1 or v1.0) has ten English captions of each clip of ten seconds, and
names the clip by YouTube's id, start and end:

    [{"videoID": "Ptf_2VRj-V0_000122_000132", "enCap": ["A man is ...", ...], "chCap": [...]}]

YouCook2 (`youcookii_annotations_trainval.json`) describes the steps of cooking videos; every step
is asked about. Its validation videos are the paper's queries, the test set has no captions:

    {"database": {"GLd3aX16zBg": {"subset": "training", "duration": 241.62, "recipe_type": "113",
        "annotations": [{"segment": [90, 102], "id": 0, "sentence": "spread margarine ..."}]}}}
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from flamingo_jax.core.errors import UserError
from flamingo_jax.evaluation.benchmarks import clip_benchmark, clip_files, records, sampling
from flamingo_jax.evaluation.benchmarks.benchmark import Benchmark, Item
from flamingo_jax.evaluation.benchmarks.benchmark_folder import BenchmarkFolder, Origin
from flamingo_jax.evaluation.benchmarks.clip_benchmark import VIDEO, PlacedItem
from flamingo_jax.evaluation.benchmarks.clip_files import ClipFiles

VATEX = Origin(
    name="vatex",
    where="https://eric-xw.github.io/vatex-website/download.html (clips: YouTube)",
    layout=(
        "vatex_training_v1.0.json, vatex_public_test_english_v1.1.json (or"
        " vatex_public_test_v1.0.json), and the clips as videos/<videoID>.mp4"
    ),
)
YOUCOOK2 = Origin(
    name="youcook2",
    where="http://youcook2.eecs.umich.edu/download (videos: YouTube)",
    layout=(
        "youcookii_annotations_trainval.json, and either the steps cut out as"
        " clips/<video>_<id of the step>.mp4 or whole videos as videos/<video>.mp4 (or"
        " raw_videos/<subset>/<recipe type>/<video>.mp4)"
    ),
)

_VATEX_TRAINING = "vatex_training_v1.0.json"
_VATEX_TESTS = ("vatex_public_test_english_v1.1.json", "vatex_public_test_v1.0.json")
_YOUCOOK2_FILE = "youcookii_annotations_trainval.json"
_YOUCOOK2_SUBSETS = ("training", "validation", "testing")
_CUT = "clips"


def read_vatex(folder: str, split: str) -> Benchmark:
    """VATEX.

    Args:
      folder: see `VATEX.layout`.
      split: "test" (the public test) or "validation" (1,024 training clips).

    Raises:
      UserError: see `catalog.open_benchmark`.
    """
    sampling.check_split(VATEX.name, split)
    here = BenchmarkFolder(VATEX, folder)
    clips = clip_files.open_clips(here, "videos", "clips")
    return clip_benchmark.assemble(
        here,
        split,
        "public-test",
        training=clip_benchmark.unique(_vatex_items(here, _VATEX_TRAINING, clips)),
        read_queries=lambda: clip_benchmark.answered(
            _vatex_items(here, here.first(*_VATEX_TESTS), clips)
        ),
        query_clips=clips,
        support_clips=clips,
    )


def _vatex_items(here: BenchmarkFolder, name: str, clips: ClipFiles) -> Iterator[PlacedItem]:
    place = here.place(name)
    content = records.expect(here.read_json(name, _without_chinese), list, "the content", place)
    for where, record in records.objects(content, place):
        identifier = records.identifier(record, "videoID", where)
        captions = records.items(record, "enCap", where)
        texts = (records.clean(caption, "a caption", where) for caption in captions)
        yield (
            where,
            Item(
                id=identifier,
                medium=clips.medium(identifier),
                answers=tuple(filter(None, texts)),
                details={VIDEO: identifier.rsplit("_", 2)[0]},
            ),
        )


def _without_chinese(value: dict[str, Any]) -> dict[str, Any]:
    value.pop("chCap", None)
    return value


def read_youcook2(folder: str, split: str) -> Benchmark:
    """YouCook2. Where whole videos are there, `details` say which part of it a step is.

    Args:
      folder: see `YOUCOOK2.layout`; `clips` is taken if both are there.
      split: "test" (the steps of the validation videos) or "validation" (1,024 training steps, of
        other videos than the support's).

    Raises:
      UserError: see `catalog.open_benchmark`.
    """
    sampling.check_split(YOUCOOK2.name, split)
    here = BenchmarkFolder(YOUCOOK2, folder)
    clips = clip_files.open_clips(here, _CUT, "videos", "raw_videos")
    place = here.place(_YOUCOOK2_FILE)
    content = records.expect(here.read_json(_YOUCOOK2_FILE), dict, "the content", place)
    database = records.expect(records.field(content, "database", place), dict, "database", place)
    steps: dict[str, list[PlacedItem]] = {subset: [] for subset in _YOUCOOK2_SUBSETS}
    for video, value in database.items():
        where = f"{place} database[{video!r}]"
        record = records.expect(value, dict, "it", where)
        subset = records.text(record, "subset", where)
        if subset not in steps:
            raise UserError(f"{where}: subset is {subset!r}; expected one of {_YOUCOOK2_SUBSETS}")
        steps[subset].extend(_steps(video, record, clips, where))
    return clip_benchmark.assemble(
        here,
        split,
        "val",
        training=clip_benchmark.unique(steps["training"]),
        read_queries=lambda: clip_benchmark.answered(steps["validation"]),
        query_clips=clips,
        support_clips=clips,
    )


def _steps(
    video: str, record: dict[str, Any], clips: ClipFiles, place: str
) -> Iterator[PlacedItem]:
    annotations = records.items(record, "annotations", place)
    for where, step in records.objects(annotations, f"{place} annotations"):
        bounds = records.items(step, "segment", where)
        if len(bounds) != 2:
            raise UserError(f"{where}: segment has {len(bounds)} numbers; expected start and end")
        start, end = (records.number(bound, "a bound of segment", where) for bound in bounds)
        part = clip_files.segment(start, end, where)
        identifier = f"{video}_{records.identifier(step, 'id', where)}"
        is_cut = clips.folder.name == _CUT
        stem = identifier if is_cut else _video_stem(video, record, clips.folder.name, place)
        sentence = records.text(step, "sentence", where)
        yield (
            where,
            Item(
                id=identifier,
                medium=clips.medium(stem),
                answers=(sentence,) if sentence else (),
                details={VIDEO: video, **({} if is_cut else part)},
            ),
        )


def _video_stem(video: str, record: dict[str, Any], folder: str, place: str) -> str:
    """Where a whole video lies: the download script sorts `raw_videos` by subset and recipe."""
    if folder != "raw_videos" or "recipe_type" not in record:
        return video
    return f"{record['subset']}/{records.identifier(record, 'recipe_type', place)}/{video}"
