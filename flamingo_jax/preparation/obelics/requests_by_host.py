"""Threads that work through requests, never more than a few at the same host at the same time."""

from __future__ import annotations

import collections
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Generic, TypeVar

Result = TypeVar("Result")


class RequestsByHost(Generic[Result]):
    """A pool of threads with a limit for each host.

    A request that waits for its host keeps no thread: another host's request goes first. The
    threads are daemons, so a program that is interrupted does not wait for the slowest server.
    """

    def __init__(self, num_threads: int, num_per_host: int) -> None:
        """Starts the threads.

        Args:
            num_threads: requests under way at most, at least 1.
            num_per_host: of these, at the same host at most, at least 1.
        """
        self._num_per_host = num_per_host
        self._changed = threading.Condition()
        self._ready: collections.deque[_Request[Result]] = collections.deque()
        self._waiting: dict[str, collections.deque[_Request[Result]]] = {}
        # Requests of a host that are ready or under way.
        self._taken: collections.Counter[str] = collections.Counter()
        self._closed = False
        for _ in range(num_threads):
            threading.Thread(target=self._work, daemon=True).start()

    def submit(self, host: str, function: Callable[[], Result]) -> Future[Result]:
        """Has `function` called by a thread when it is its turn.

        Args:
            host: whose limit counts.
            function: the request.

        Returns:
            Its result to come.
        """
        request = _Request(host, function)
        with self._changed:
            if self._taken[host] < self._num_per_host:
                self._taken[host] += 1
                self._ready.append(request)
                self._changed.notify()
            else:
                self._waiting.setdefault(host, collections.deque()).append(request)
        return request.future

    def close(self) -> None:
        """Lets the threads end after the request that each is at."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _work(self) -> None:
        while True:
            with self._changed:
                while not self._ready and not self._closed:
                    self._changed.wait()
                if self._closed:
                    return
                request = self._ready.popleft()
            request.run()
            with self._changed:
                self._free_place(request.host)

    def _free_place(self, host: str) -> None:
        """Hands a host's place on to its next request, or gives it up."""
        waiting = self._waiting.get(host)
        if waiting:
            self._ready.append(waiting.popleft())
            self._changed.notify()
            if not waiting:
                del self._waiting[host]
            return
        self._taken[host] -= 1
        if not self._taken[host]:
            del self._taken[host]


class _Request(Generic[Result]):
    """A call to make and its result to come."""

    def __init__(self, host: str, function: Callable[[], Result]) -> None:
        self.host = host
        self.function = function
        self.future: Future[Result] = Future()

    def run(self) -> None:
        try:
            result = self.function()
        except BaseException as error:  # For whoever waits for the result, as it is.
            self.future.set_exception(error)
        else:
            self.future.set_result(result)
