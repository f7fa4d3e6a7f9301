"""Kinetics-700-2020: clips of ten seconds, each of one of 700 classes of actions.

The tables `train.csv` and `val.csv` that DeepMind and CVDF give out:

    label,youtube_id,time_start,time_end,split
    testifying,---QUuC4vJs,84,94,validate

The clip of this row is `---QUuC4vJs_000084_000094`, in the folder of its class or beside them.
"""

from __future__ import annotations

from flamingo_jax.core.errors import UserError
from flamingo_jax.evaluation.benchmarks import clip_files, csv_tables, sampling
from flamingo_jax.evaluation.benchmarks.benchmark import Benchmark, Item
from flamingo_jax.evaluation.benchmarks.benchmark_folder import BenchmarkFolder, Origin
from flamingo_jax.evaluation.benchmarks.clip_benchmark import VIDEO
from flamingo_jax.evaluation.benchmarks.clip_files import ClipFiles

KINETICS700 = Origin(
    name="kinetics700",
    where="https://github.com/cvdfoundation/kinetics-dataset (Kinetics-700-2020)",
    layout=(
        "{train,val}.csv (or in annotations/), and the clips as {train,val}/[<class>/]<youtube_id>_"
        "<start, 6 digits>_<end, 6 digits>.mp4"
    ),
)

_TRAIN = "train"
_VAL = "val"
_MAX_SECONDS = 1_000_000
"""Names of clips have six digits."""

Classes = dict[str, list[str]]
"""The clips of each class, in the order of the table."""


def read_kinetics700(folder: str, split: str) -> Benchmark:
    """Kinetics-700-2020; the candidates are the names of the classes, sorted.

    Args:
      folder: see `KINETICS700.layout`.
      split: "test" (all of "val") or "validation" (10 training clips of each class).

    Raises:
      UserError: see `catalog.open_benchmark`.
    """
    sampling.check_split(KINETICS700.name, split)
    here = BenchmarkFolder(KINETICS700, folder)
    missing = clip_files.missing_clips(here)
    training = _read_classes(here, _TRAIN, missing)
    validation = {} if split == sampling.VALIDATION else _read_classes(here, _VAL, missing)
    candidates = tuple(sorted({*training, *validation}))
    slices = sampling.draw_balanced(
        KINETICS700.name, split, [training.get(name, []) for name in candidates]
    )
    if not slices.support:
        raise UserError(f"{KINETICS700.name}: its training set has no clips to take shots from")
    support_clips = clip_files.open_clips(here, _TRAIN)
    query_clips, chosen = support_clips, slices.queries
    if split != sampling.VALIDATION:
        split, query_clips = _VAL, clip_files.open_clips(here, _VAL)
        chosen = tuple(
            (label, clip)
            for label, name in enumerate(candidates)
            for clip in validation.get(name, [])
        )
    if not chosen:
        raise UserError(f"{KINETICS700.name}: there is nothing to ask in {split!r}")
    return Benchmark(
        name=KINETICS700.name,
        split=split,
        queries=tuple(_item(label, clip, candidates, query_clips) for label, clip in chosen),
        support=tuple(
            _item(label, clip, candidates, support_clips) for label, clip in slices.support
        ),
        query_media=query_clips,
        support_media=support_clips,
        candidates=candidates,
    )


def _read_classes(here: BenchmarkFolder, subset: str, missing: frozenset[str]) -> Classes:
    name = here.first(f"{subset}.csv", f"annotations/{subset}.csv")
    classes: Classes = {}
    seen: set[tuple[str, str]] = set()
    columns = ("label", "youtube_id", "time_start", "time_end")
    for place, row in csv_tables.read_rows(here, name, columns):
        label = csv_tables.identifier(row, "label", place)
        start = csv_tables.whole_number(row, "time_start", _MAX_SECONDS, place)
        end = csv_tables.whole_number(row, "time_end", _MAX_SECONDS, place)
        clip = f"{csv_tables.identifier(row, 'youtube_id', place)}_{start:06d}_{end:06d}"
        if (label, clip) in seen:
            raise UserError(f"{place}: the clip {clip!r} of {label!r} comes a second time")
        seen.add((label, clip))
        clips = classes.setdefault(label, [])
        if clip not in missing:
            clips.append(clip)
    return classes


def _item(label: int, clip: str, candidates: tuple[str, ...], clips: ClipFiles) -> Item:
    name = candidates[label]
    return Item(
        # One clip may be of two classes.
        id=f"{name}/{clip}",
        medium=clips.medium(f"{name}/{clip}"),
        answers=(name,),
        label=label,
        details={VIDEO: clip.rsplit("_", 2)[0]},
    )
