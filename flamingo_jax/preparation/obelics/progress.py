"""Lines of progress with the time that is left."""

from __future__ import annotations

import time
from collections.abc import Callable

_SECONDS_BETWEEN_LINES = 10.0


class Progress:
    """Counts what is done and says so now and then."""

    def __init__(
        self,
        num_shards: int,
        num_finished: int,
        num_documents: int,
        say: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Says where the work begins.

        Args:
            num_shards: of the whole work.
            num_finished: of these, finished by earlier runs.
            num_documents: of the shards that are left.
            say: takes a line.
            clock: seconds.
        """
        self._num_shards = num_shards
        self._num_finished = num_finished
        self._num_documents = num_documents
        self._say = say
        self._clock = clock
        self._start = self._last = clock()
        self._documents = self._pictures = self._saved = 0
        say(f"{num_finished} of {num_shards} shards are finished, {num_documents} documents to do")

    def count_document(self, num_pictures: int, num_saved: int) -> None:
        """Counts a document that is done with."""
        self._documents += 1
        self._pictures += num_pictures
        self._saved += num_saved
        if self._clock() - self._last >= _SECONDS_BETWEEN_LINES:
            self._last = self._clock()
            self._say(self.line())

    def count_shard(self) -> None:
        """Counts a shard that is finished."""
        self._num_finished += 1

    def line(self) -> str:
        """Where the work stands."""
        seconds = max(self._clock() - self._start, 1e-9)
        share = self._saved / max(self._pictures, 1)
        left = (self._num_documents - self._documents) * seconds / max(self._documents, 1)
        return (
            f"{self._num_finished} of {self._num_shards} shards,"
            f" {self._pictures} pictures asked for, {share:.1%} saved,"
            f" {self._pictures / seconds:.1f} a second, {duration(left)} left"
        )


def duration(seconds: float) -> str:
    """Seconds for people: "42 s", "12 min", "3 h 20 min", "5 days 3 h"."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 24:
        return f"{hours} h {minutes} min"
    days, hours = divmod(hours, 24)
    return f"{days} day{'s' if days > 1 else ''} {hours} h"
