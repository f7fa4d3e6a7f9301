"""What is said while files are indexed."""

from __future__ import annotations

import pytest

from flamingo_jax.data.indexes import progress
from flamingo_jax.data.indexes.progress import Progress


def test_progress_is_quiet_at_first_and_then_says_what_is_left(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = 100.0
    monkeypatch.setattr(progress.time, "monotonic", lambda: now)
    counter = Progress(9_000_000_000)
    counter.leave_out(1_000_000_000)
    counter.report(1_000_000_000)
    now += progress.QUIET_SECONDS - 0.1
    counter.report(1_000_000_000)
    assert capsys.readouterr().err == ""
    now += 0.1
    counter.report(0)
    counter.report(1)
    assert capsys.readouterr().err == "indexing 8.0 GB: 25% done, 30 s left\n"
    now += 1000
    counter.report(0)
    assert capsys.readouterr().err == "indexing 8.0 GB: 25% done, 50 min left\n"
    counter.report(6_000_000_000)
    now += 1000
    counter.report(1)
    assert capsys.readouterr().err == "indexing 8.0 GB: 100% done, 0 s left\n"
