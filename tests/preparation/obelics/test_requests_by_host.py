"""The pool of threads: limits by host, and no thread that waits for a host."""

from __future__ import annotations

import contextlib
import threading
from collections import Counter

import pytest

from flamingo_jax.preparation.obelics.requests_by_host import RequestsByHost


def test_results_and_errors_come_back() -> None:
    with contextlib.closing(RequestsByHost[int](3, 2)) as pool:
        futures = [pool.submit("a", lambda n=n: n * n) for n in range(50)]
        failing = pool.submit("a", lambda: 1 // 0)
        assert [future.result(10) for future in futures] == [n * n for n in range(50)]
        with pytest.raises(ZeroDivisionError):
            failing.result(10)


def test_a_host_has_its_limit_and_others_go_on() -> None:
    lock, under_way, most = threading.Lock(), Counter[str](), Counter[str]()
    blocked = threading.Event()

    def ask(host: str) -> None:
        with lock:
            under_way[host] += 1
            most[host] = max(most[host], under_way[host])
        if host == "slow":
            assert blocked.wait(10)
        with lock:
            under_way[host] -= 1

    with contextlib.closing(RequestsByHost[None](4, 2)) as pool:
        slow = [pool.submit("slow", lambda: ask("slow")) for _ in range(6)]
        quick = [pool.submit("quick", lambda: ask("quick")) for _ in range(20)]
        for future in quick:
            future.result(10)
        assert not any(future.done() for future in slow)
        blocked.set()
        for future in slow:
            future.result(10)
    assert most["slow"] == 2
    assert most["quick"] <= 2


def test_closing_ends_the_threads() -> None:
    before = set(threading.enumerate())
    pool = RequestsByHost[int](5, 1)
    threads = set(threading.enumerate()) - before
    assert len(threads) == 5 and all(thread.daemon for thread in threads)
    pool.close()
    for thread in threads:
        thread.join(10)
        assert not thread.is_alive()
