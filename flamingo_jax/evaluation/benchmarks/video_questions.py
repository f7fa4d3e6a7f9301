"""MSVD-QA and MSRVTT-QA (Xu et al. 2017): questions about clips, one answer each.

    test_qa.json: [{"id": 37348, "video_id": 1451, "question": "what is a man doing?",
                    "answer": "play"}]

The two are of one form; MSRVTT-QA's records have a `category_id` as well. The clip of `video_id`
1451 is `vid1451` in MSVD-QA, and `video1451` in MSRVTT-QA. MSVD gives its clips out under YouTube's
ids; `youtube_mapping.txt` tells which is which, one `mv89psg6zh4_33_46 vid1` a line.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from flamingo_jax.core.errors import UserError
from flamingo_jax.evaluation.benchmarks import clip_benchmark, clip_files, records, sampling
from flamingo_jax.evaluation.benchmarks.benchmark import Benchmark, Item
from flamingo_jax.evaluation.benchmarks.benchmark_folder import BenchmarkFolder, Origin
from flamingo_jax.evaluation.benchmarks.clip_benchmark import PlacedItem
from flamingo_jax.evaluation.benchmarks.clip_files import ClipFiles

_QUESTIONS = "https://github.com/xudejing/video-question-answering"

MSVDQA = Origin(
    name="msvdqa",
    where=f"{_QUESTIONS} and https://www.cs.utexas.edu/users/ml/clamp/videoDescription (clips)",
    layout=(
        "{train,test}_qa.json, and the clips as YouTubeClips/vid<video_id>.avi (or in videos/; with"
        " youtube_mapping.txt, also under YouTube's ids)"
    ),
)
MSRVTTQA = Origin(
    name="msrvttqa",
    where=f"{_QUESTIONS} and http://ms-multimedia-challenge.com/2016/dataset (clips)",
    layout=(
        "{train,test}_qa.json, and the clips as videos/video<video_id>.mp4 (or in TrainValVideo/"
        " and TestVideo/)"
    ),
)

_MAPPING = "youtube_mapping.txt"


def read_msvdqa(folder: str, split: str) -> Benchmark:
    """MSVD-QA.

    Args:
      folder: see `MSVDQA.layout`.
      split: "test" or "validation" (1,024 training questions).

    Raises:
      UserError: see `catalog.open_benchmark`.
    """
    sampling.check_split(MSVDQA.name, split)
    here = BenchmarkFolder(MSVDQA, folder)
    names = _youtube_names(here)

    def other_stems(stem: str) -> Sequence[str]:
        return names.get(stem, ())

    clips = clip_files.open_clips(here, "YouTubeClips", "videos", other_stems=other_stems)
    return _read(here, split, "vid", clips, clips)


def read_msrvttqa(folder: str, split: str) -> Benchmark:
    """MSRVTT-QA.

    Args:
      folder: see `MSRVTTQA.layout`.
      split: "test" or "validation" (1,024 training questions).

    Raises:
      UserError: see `catalog.open_benchmark`.
    """
    sampling.check_split(MSRVTTQA.name, split)
    here = BenchmarkFolder(MSRVTTQA, folder)
    support_clips = clip_files.open_clips(here, "videos", "TrainValVideo")
    query_clips = support_clips
    if split != sampling.VALIDATION:
        query_clips = clip_files.open_clips(here, "videos", "TestVideo")
    return _read(here, split, "video", query_clips, support_clips)


def _read(
    here: BenchmarkFolder,
    split: str,
    prefix: str,
    query_clips: ClipFiles,
    support_clips: ClipFiles,
) -> Benchmark:
    return clip_benchmark.assemble(
        here,
        split,
        "test",
        training=clip_benchmark.unique(_items(here, "train_qa.json", prefix, support_clips)),
        read_queries=lambda: clip_benchmark.answered(
            _items(here, "test_qa.json", prefix, query_clips)
        ),
        query_clips=query_clips,
        support_clips=support_clips,
    )


def _items(here: BenchmarkFolder, name: str, prefix: str, clips: ClipFiles) -> Iterator[PlacedItem]:
    place = here.place(name)
    content = records.expect(here.read_json(name), list, "the content", place)
    for where, record in records.objects(content, place):
        answer = records.text(record, "answer", where)
        video = records.identifier(record, "video_id", where)
        yield (
            where,
            Item(
                id=records.identifier(record, "id", where),
                medium=clips.medium(prefix + video),
                question=records.text(record, "question", where),
                answers=(answer,) if answer else (),
            ),
        )


def _youtube_names(here: BenchmarkFolder) -> dict[str, tuple[str, ...]]:
    """YouTube's names of clips by MSVD-QA's; empty where the list of them is not there."""
    if not here.has(_MAPPING):
        return {}
    names: dict[str, tuple[str, ...]] = {}
    for number, line in enumerate(here.read_text(_MAPPING).split("\n"), start=1):
        words = line.split()
        if not words:
            continue
        where = f"{here.place(_MAPPING)} line {number}"
        if len(words) != 2:
            raise UserError(f"{where} has {len(words)} words; expected YouTube's name and vid<...>")
        records.put_once(names, words[1], (words[0],), "clip", where)
    return names
