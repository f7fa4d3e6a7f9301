"""Batches of the next few steps, made and put on the devices while the step before them runs."""

from __future__ import annotations

import itertools
import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import TracebackType
from typing import Any

from flamingo_jax.core.errors import UserError

Batches = Iterator[tuple[Any, int]]
"""(batch, position after it), again and again."""
OpenDataset = Callable[[int], Batches]
"""`open(start)` gives the batches from position `start` on."""
Positions = dict[str, int]

Place = Callable[[Any], Any]
"""Puts a host batch where the step wants it."""

DEFAULT_DEPTH = 2
_POLL_SECONDS = 0.1


def _as_it_is(batch: Any) -> Any:
    return batch


class Prefetcher:
    """Draws one batch of every dataset that a step visits, a few steps ahead, in one thread.

    Every batch comes with the position after it, so that a checkpoint can store where the data of
    the last *used* step ended, however far ahead the thread has read.
    """

    def __init__(
        self,
        datasets: Mapping[str, OpenDataset],
        start: Mapping[str, int],
        depth: int = DEFAULT_DEPTH,
        place: Place = _as_it_is,
        visits: Iterable[Iterable[str]] | None = None,
    ) -> None:
        """Starts the thread.

        Args:
          datasets: how to open each dataset, by its name.
          start: the position at which each dataset begins.
          depth: steps that are kept ready at most.
          place: puts a batch on the devices. It runs in the thread, so that the copy goes on beside
            the step that is computed.
          visits: names of the datasets that each step visits, without end; all if not given.
        """
        self._datasets = dict(datasets)
        self._start = dict(start)
        self._place = place
        self._visits = itertools.repeat(self._datasets) if visits is None else visits
        self._waited = 0.0
        self._queue: queue.Queue[Any] = queue.Queue(maxsize=depth)
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="prefetch", daemon=True)
        self._thread.start()

    def next(self) -> tuple[dict[str, Any], Positions]:
        """The batches of the next step.

        Returns:
          ({visited dataset: batch}, {dataset: position after this step}).

        Raises:
          UserError: a dataset ended.
          Exception: whatever a dataset raised.
        """
        start = time.monotonic()
        item = self._queue.get()
        self._waited += time.monotonic() - start
        if isinstance(item, BaseException):
            raise item
        return item

    @property
    def seconds_waited(self) -> float:
        """How long all calls of `next` together have waited for a batch."""
        return self._waited

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
            positions = dict(self._start)
            for names in self._visits:
                batches = {name: self._draw(name, iterators[name], positions) for name in names}
                if not self._put((batches, dict(positions))):
                    return
        except BaseException as error:
            self._put(error)

    def _draw(self, name: str, iterator: Batches, positions: Positions) -> Any:
        """The next batch of a dataset, put in place; moves its position on."""
        try:
            batch, positions[name] = next(iterator)
        except StopIteration:
            raise UserError(
                f"dataset {name!r} ended before the run did; lower config.steps"
                " or give a dataset that repeats"
            ) from None
        return self._place(batch)

    def _put(self, item: Any) -> bool:
        """Queues an item; False when the prefetcher was closed meanwhile."""
        while not self._closed.is_set():
            try:
                self._queue.put(item, timeout=_POLL_SECONDS)
                return True
            except queue.Full:
                continue
        return False
