"""The prompts of a benchmark's queries: shots, texts, and which pictures they show."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from concurrent.futures import Executor
from pathlib import Path
from typing import NamedTuple

import numpy as np

from flamingo_jax.config_evaluation import BenchmarkEvaluationConfig
from flamingo_jax.core.errors import UserError
from flamingo_jax.data import schema, seeds
from flamingo_jax.evaluation import benchmark_prompts
from flamingo_jax.evaluation.answering import FewShotModel
from flamingo_jax.evaluation.benchmark_media import EncodedMedia, MediaReader, support_features
from flamingo_jax.evaluation.benchmark_task import BenchmarkTask
from flamingo_jax.evaluation.benchmarks.benchmark import Benchmark, Item, MediaStore
from flamingo_jax.evaluation.benchmarks.clip_files import END_SECONDS, START_SECONDS
from flamingo_jax.evaluation.fewshot import RICES
from flamingo_jax.evaluation.pictures import PictureEncoder
from flamingo_jax.evaluation.prompts import Prompt, make_prompt
from flamingo_jax.evaluation.support_selection import Support

RICES_FOLDER = "rices"
"""Folder of the support's features in that of a run."""

_END_OF_CHUNK = "<EOC>"
_MAX_QUERY_BYTES = 4 << 30
"""Of the queries' visual tokens that are kept for the next number of shots."""

_SUPPORT, _QUERY, _BLACK = "support", "query", "black"


class Shown(NamedTuple):
    """A picture or clip of a prompt: of which list, and its number there."""

    of: str
    number: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class Asked:
    """One query, ready for the model.

    Attributes:
      index: its place in the order in which queries are asked.
      item: the query.
      support: the places of its shots, or of its text-only examples, as chosen.
      orders: the shots' places in each prompt: [prompts, shots].
      text: the (first) prompt as text.
      prompts: one for each order; pictures are numbers of the batch's `latents`.
    """

    index: int
    item: Item
    support: tuple[int, ...]
    orders: np.ndarray
    text: str
    prompts: tuple[Prompt, ...]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Batch:
    """Queries that are asked together, and the visual tokens [N, R, D] that their prompts show."""

    asked: tuple[Asked, ...]
    latents: np.ndarray


@dataclasses.dataclass(frozen=True, kw_only=True)
class Way:
    """How queries are asked: shots, how they are chosen, and what is shown."""

    shots: int
    selection: str
    seed: int
    images: str


class Questions:
    """The queries of a benchmark in a fixed random order, of which any first part is a sample."""

    def __init__(
        self,
        benchmark: Benchmark,
        task: BenchmarkTask,
        config: BenchmarkEvaluationConfig,
        model: FewShotModel,
        encoder: PictureEncoder,
        threads: Executor,
        folder: Path,
    ) -> None:
        """Reads no pictures yet.

        Args:
          benchmark: queries and support.
          task: how it is asked.
          config: of the evaluation.
          model: its vocabulary, the size of its pictures, its checkpoint.
          encoder: of the model.
          threads: to read pictures with.
          folder: of the run; features of the support are kept there.
        """
        self.benchmark = benchmark
        self.task = task
        self._config = config
        self._model = model
        self._folder = folder
        random = seeds.generator(0, f"benchmarks/{benchmark.name}/asked", benchmark.split, 0)
        order = random.permutation(len(benchmark.queries))
        self.queries = tuple(benchmark.queries[place] for place in order)
        self.support = Support(benchmark, config.num_support, task.is_balanced)
        self._num_frames = 1
        if task.num_frames > 1:
            self._num_frames = config.num_frames or task.num_frames
        reader = MediaReader(benchmark.name, task, self._num_frames, model.image_size)

        def encoded(
            items: Sequence[Item], store: MediaStore, max_bytes: int | None, read_ahead: int
        ) -> EncodedMedia:
            return EncodedMedia(
                len(items), lambda number: reader.read(items[number], store), encoder,
                self._num_frames, threads, max_bytes=max_bytes, read_ahead=read_ahead,
            )  # fmt: skip

        self._media = {
            # Queries come in their order, shots do not.
            _QUERY: encoded(
                self.queries, benchmark.query_media, _MAX_QUERY_BYTES, 2 * config.reader_threads
            ),
            _SUPPORT: encoded(self.support.items, benchmark.support_media, None, 0),
            _BLACK: EncodedMedia(1, lambda _: reader.black(), encoder, self._num_frames, threads),
        }
        self._features_SD: np.ndarray | None = None

    def batch(self, indices: Sequence[int], way: Way) -> Batch:
        """Some queries with their prompts and pictures.

        Args:
          indices: places in `queries`.
          way: how they are asked.

        Raises:
          UserError: too little support, or a picture that cannot be read.
        """
        shown: dict[Shown, int] = {}
        asked = tuple(self._ask(index, way, shown) for index in indices)
        latents = [self._media[of].latents([number])[0] for of, number in shown]
        return Batch(asked=asked, latents=np.stack(latents))

    def has_partners(self) -> bool:
        """Whether pictures can be swapped: queries show at least two."""
        return len({_shown_by(query) for query in self.queries}) > 1

    def release(self) -> None:
        """Gives back the memory of pictures, when the benchmark is done."""
        for media in self._media.values():
            media.release()

    def _ask(self, index: int, way: Way, shown: dict[Shown, int]) -> Asked:
        item = self.queries[index]
        template, support = self.task.template, self.support
        told = self.told(index, way)
        rows = told if way.shots else ()
        said = [benchmark_prompts.shot_text(template, support.items[row]) for row in told]
        texts, examples = (said, []) if way.shots else ([], said)
        pictures = self._pictures(index, rows, way)
        numbers = [shown.setdefault(picture, len(shown)) for picture in pictures]
        lead = benchmark_prompts.lead(template, item)
        count = self._config.ensemble if way.shots and not self.task.is_open else 1
        orders = support.orders(item, way.shots, count, way.seed)
        prompts = tuple(
            make_prompt(
                self._model.vocabulary,
                shots=[(numbers[place], texts[place]) for place in order],
                query=(numbers[-1], lead),
                text_examples=examples,
            )
            for order in orders
        )
        return Asked(
            index=index, item=item, support=told, orders=orders, prompts=prompts,
            text=_text(examples, [texts[place] for place in orders[0]], lead),
        )  # fmt: skip

    def told(self, index: int, way: Way) -> tuple[int, ...]:
        """The places of the examples that a query's prompt tells: shots, or texts alone."""
        if not way.shots and self.task.is_open:
            return self.support.text_examples(self.queries[index], way.seed)
        return self._shots(index, way)

    def _shots(self, index: int, way: Way) -> tuple[int, ...]:
        if not way.shots:
            return ()
        similarity_S = self._similarity(index) if way.selection == RICES else None
        return self.support.choose(
            self.queries[index], way.shots, way.selection, way.seed, similarity_S
        )

    def _similarity(self, index: int) -> np.ndarray:
        """Cosine of a query with every example of the support."""
        if self._features_SD is None:
            self._features_SD = support_features(
                self._media[_SUPPORT], self.support.items, self._folder / RICES_FOLDER,
                f"{self.benchmark.name}-{self._num_frames}", self._model.checkpoint,
            )  # fmt: skip
        similarity_S: np.ndarray = self._features_SD @ self._media[_QUERY].pooled([index])[0]
        return similarity_S

    def _pictures(self, index: int, rows: Sequence[int], way: Way) -> list[Shown]:
        """What a prompt shows: the pictures of its shots, and last the query's."""
        if way.images == "zeroed":
            return [Shown(_BLACK, 0)] * (len(rows) + 1)
        if way.images == "swapped":
            index = self._partner(index)
            rows = self._shots(index, way)
        return [*(Shown(_SUPPORT, row) for row in rows), Shown(_QUERY, index)]

    def _partner(self, index: int) -> int:
        """The query whose pictures are shown instead: the next one that shows another file.

        Where there is but one, the next one that shows another part of it.
        """
        own, count = self.queries[index], len(self.queries)
        following = range(index + 1, index + count)
        for place in following:
            if self.queries[place % count].medium != own.medium:
                return place % count
        for place in following:
            if _shown_by(self.queries[place % count]) != _shown_by(own):
                return place % count
        raise UserError(f"{self.benchmark.name}: all queries show one picture: none to swap")


def _shown_by(item: Item) -> tuple[object, ...]:
    """What tells the pictures of two items apart: the file, and the part of a clip."""
    return (item.medium, item.details.get(START_SECONDS), item.details.get(END_SECONDS))


def _text(examples: Sequence[str], shots: Sequence[str], lead: str) -> str:
    """A prompt as text, as `make_prompt` puts it together."""
    told = [*examples, *(schema.IMAGE_TAG + text for text in shots)]
    return "".join(text + _END_OF_CHUNK for text in told) + schema.IMAGE_TAG + lead
