"""Batches of the next few steps, made in the background while the device computes."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator, Mapping
from types import TracebackType
from typing import Any

from flamingo_jax.core.errors import UserError

OpenDataset = Callable[[int], Iterator[tuple[Any, int]]]
"""`open(start)` iterates over (batch, position after it), beginning at position `start`."""
Positions = dict[str, int]

DEFAULT_DEPTH = 2
_POLL_SECONDS = 0.1


class Prefetcher:
    """Draws one batch of every dataset for each step, a few steps ahead, in one thread.

    Every batch comes with the position after it, so that a checkpoint can store where the data of
    the last *used* step ended, however far ahead the thread has read.
    """

    def __init__(
        self,
        datasets: Mapping[str, OpenDataset],
        start: Mapping[str, int],
        depth: int = DEFAULT_DEPTH,
    ) -> None:
        """Starts the thread.

        Args:
          datasets: how to open each dataset, by its name.
          start: the position at which each dataset begins.
          depth: steps that are kept ready at most.
        """
        self._datasets = dict(datasets)
        self._start = dict(start)
        self._queue: queue.Queue[Any] = queue.Queue(maxsize=depth)
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="prefetch", daemon=True)
        self._thread.start()

    def next(self) -> tuple[dict[str, Any], Positions]:
        """The batches of the next step.

        Returns:
          ({dataset: batch}, {dataset: position after the batch}).

        Raises:
          UserError: a dataset ended.
          Exception: whatever a dataset raised.
        """
        item = self._queue.get()
        if isinstance(item, BaseException):
            raise item
        return item

    def close(self) -> None:
        """Ends the thread; the batches that it made ahead are dropped."""
        self._closed.set()
        self._thread.join()

    def __enter__(self) -> Prefetcher:
        return self

    def __exit__(
        self,
        exception_type: type[BaseException] | None,
        exception: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _run(self) -> None:
        try:
            iterators = {name: open_(self._start[name]) for name, open_ in self._datasets.items()}
            while self._put(self._draw(iterators)):
                pass
        except BaseException as error:
            self._put(error)

    def _draw(self, iterators: Mapping[str, Iterator[tuple[Any, int]]]) -> Any:
        batches, positions = {}, {}
        for name, iterator in iterators.items():
            try:
                batches[name], positions[name] = next(iterator)
            except StopIteration:
                raise UserError(
                    f"dataset {name!r} ended before the run did; lower config.steps"
                    " or give a dataset that repeats"
                ) from None
        return batches, positions

    def _put(self, item: Any) -> bool:
        """Queues an item; False when the prefetcher was closed meanwhile."""
        while not self._closed.is_set():
            try:
                self._queue.put(item, timeout=_POLL_SECONDS)
                return True
            except queue.Full:
                continue
        return False
