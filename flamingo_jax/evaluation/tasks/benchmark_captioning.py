"""Captioning of pictures from files: what a model says is compared with what people said."""

from __future__ import annotations

import dataclasses

import numpy as np

from flamingo_jax.config import BenchmarkConfig, EvaluationConfig
from flamingo_jax.core.errors import UserError
from flamingo_jax.evaluation.benchmarks.coco_captions import open_coco_captions
from flamingo_jax.evaluation.task import Query, Task, said


class BenchmarkCaptioning(Task):
    """ "<image>Output: A dog on a sofa.": open-ended, CIDEr against all captions of the picture.

    Queries and support are the pictures of their files in a seeded order, so that a part of them
    is a random one. A shot tells the first caption of its picture.
    """

    metrics = ("cider",)

    def __init__(
        self, benchmark: BenchmarkConfig, config: EvaluationConfig, image_size: int
    ) -> None:
        """Opens the files; pictures are read later.

        Args:
          benchmark: files and wording.
          config: of the evaluation.
          image_size: side of the pictures that the model takes, in pixels.

        Raises:
          UserError: the files are not what they should be, or shots or text-only examples are asked
            for and there is no support to take them from.
        """
        field = f"config.evaluation.benchmarks[{benchmark.name}]"
        queries = open_coco_captions(
            benchmark.annotations, benchmark.images, benchmark.data_dir, f"{field}.annotations",
            f"{field}.images",
        )  # fmt: skip
        support = dataclasses.replace(queries, pictures=())
        if benchmark.support_annotations:
            support = open_coco_captions(
                benchmark.support_annotations, benchmark.support_images or benchmark.images,
                benchmark.data_dir, f"{field}.support_annotations", f"{field}.support_images",
            )  # fmt: skip
        elif any(config.shots) or (0 in config.shots and benchmark.text_examples):
            raise UserError(
                f"{field}.support_annotations is empty, but shots and text_examples are"
                " taken from there: expected a file, or evaluation.shots (0,) and text_examples 0"
            )
        super().__init__(config.seed, config.split, min(config.num_support, len(support.pictures)))
        self.name = benchmark.name
        self.num_queries = len(queries.pictures)
        self._queries = queries.shuffled(self.generator("queries", 0))
        self._support = support.shuffled(self.generator("support", 0))
        self._lead = benchmark.lead
        self._num_text_examples = benchmark.text_examples
        self._image_size = image_size

    def query(self, index: int) -> Query:
        """See `Task.query`; the caption that a shot would tell is the answer."""
        answer, *others = self._queries.pictures[index].captions
        return Query(lead=self._lead, answer=answer, other_answers=tuple(others))

    def query_media(self, index: int) -> np.ndarray:
        """See `Task.query_media`."""
        return self._queries.read(index, self._image_size)

    def support_media(self, row: int) -> np.ndarray:
        """See `Task.support_media`."""
        return self._support.read(row, self._image_size)

    def shot_text(self, index: int, row: int) -> str:
        """See `Task.shot_text`; the same for every query."""
        del index
        return said(self._lead, self._support.pictures[row].captions[0])

    def groups(self, index: int) -> tuple[np.ndarray, ...]:
        """One group: all of the support but the query's own picture, if it is there too."""
        own = self._queries.pictures[index].name
        names = [picture.name for picture in self._support.pictures[: self.num_support]]
        return (np.flatnonzero(np.array(names, dtype=object) != own),)

    def text_examples(self, index: int) -> tuple[str, ...]:
        """As many captions of other pictures as the config says."""
        if not self._num_text_examples:
            return ()
        random = self.generator("text_examples", index)
        rows = random.permutation(self.groups(index)[0])[: self._num_text_examples]
        return tuple(self.shot_text(index, int(row)) for row in rows)
