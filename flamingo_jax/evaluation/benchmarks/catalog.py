"""The paper's benchmarks by name: who reads their files, and where the files come from."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping

from flamingo_jax.core.errors import UserError
from flamingo_jax.data import files
from flamingo_jax.evaluation.benchmarks import (
    hateful_memes,
    imagenet,
    ivqa,
    karpathy,
    kinetics,
    nextqa,
    rareact,
    star,
    textvqa,
    video_captions,
    video_questions,
    visdial,
    vizwiz,
    vqa,
)
from flamingo_jax.evaluation.benchmarks.benchmark import Benchmark
from flamingo_jax.evaluation.benchmarks.benchmark_folder import Origin


@dataclasses.dataclass(frozen=True, kw_only=True)
class Reader:
    """How a benchmark is read.

    Attributes:
      read: makes the benchmark of its folder and a split, "test" or "validation".
      folder: its name in the folder of all benchmarks.
      where: where to get its files.
      layout: which files its folder must have.
    """

    read: Callable[[str, str], Benchmark]
    folder: str
    where: str
    layout: str


def _reader(read: Callable[[str, str], Benchmark], origin: Origin) -> Reader:
    return Reader(read=read, folder=origin.name, where=origin.where, layout=origin.layout)


BENCHMARKS: Mapping[str, Reader] = {
    "coco": _reader(karpathy.read_coco, karpathy.COCO),
    "flickr30k": _reader(karpathy.read_flickr30k, karpathy.FLICKR30K),
    "vqav2": _reader(vqa.read_vqav2, vqa.VQAV2),
    "okvqa": _reader(vqa.read_okvqa, vqa.OKVQA),
    "vizwiz": _reader(vizwiz.read_vizwiz, vizwiz.VIZWIZ),
    "textvqa": _reader(textvqa.read_textvqa, textvqa.TEXTVQA),
    "visdial": _reader(visdial.read_visdial, visdial.VISDIAL),
    "hateful_memes": _reader(hateful_memes.read_hateful_memes, hateful_memes.HATEFUL_MEMES),
    "imagenet": _reader(imagenet.read_imagenet, imagenet.IMAGENET),
    "kinetics700": _reader(kinetics.read_kinetics700, kinetics.KINETICS700),
    "vatex": _reader(video_captions.read_vatex, video_captions.VATEX),
    "msvdqa": _reader(video_questions.read_msvdqa, video_questions.MSVDQA),
    "msrvttqa": _reader(video_questions.read_msrvttqa, video_questions.MSRVTTQA),
    "youcook2": _reader(video_captions.read_youcook2, video_captions.YOUCOOK2),
    "ivqa": _reader(ivqa.read_ivqa, ivqa.IVQA),
    "rareact": _reader(rareact.read_rareact, rareact.RAREACT),
    "nextqa": _reader(nextqa.read_nextqa, nextqa.NEXTQA),
    "star": _reader(star.read_star, star.STAR),
}


def open_benchmark(name: str, data_dir: str, split: str) -> Benchmark:
    """Reads a benchmark.

    Args:
      name: one of `BENCHMARKS`.
      data_dir: the folder that has a folder for each benchmark, local or gs://.
      split: "test", "validation", or a split that the reader has beside them.

    Raises:
      UserError: there is no such benchmark or split, a file is missing (says which one, where to
        get it and what layout it needs), or a file is not what it should be.
    """
    reader = BENCHMARKS.get(name)
    if reader is None:
        raise UserError(f"there is no benchmark {name!r}; there are {', '.join(BENCHMARKS)}")
    return reader.read(files.join(data_dir, reader.folder), split)
