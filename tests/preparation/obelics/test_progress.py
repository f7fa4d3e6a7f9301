"""Progress: rates and the time that is left, by a clock of our own."""

from __future__ import annotations

import pytest

from flamingo_jax.preparation.obelics.progress import Progress, duration


def test_the_time_left_follows_from_the_documents_of_this_run() -> None:
    now, lines = [100.0], []
    progress = Progress(10, 4, 600, lines.append, clock=lambda: now[0])
    for _ in range(60):
        now[0] += 1.0
        progress.count_document(num_pictures=5, num_saved=4)
    progress.count_shard()
    assert lines[0] == "4 of 10 shards are finished, 600 documents to do"
    assert len(lines) == 1 + 6
    assert lines[-1].startswith("4 of 10 shards")
    assert progress.line() == (
        "5 of 10 shards, 300 pictures asked for, 80.0% saved, 5.0 a second, 9 min left"
    )


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 s"),
        (59, "59 s"),
        (60, "1 min"),
        (3599, "1 h 0 min"),
        (12000, "3 h 20 min"),
        (86400 * 2 + 3600, "2 days 1 h"),
    ],
)
def test_durations_are_for_people(seconds: float, words: str) -> None:
    assert duration(seconds) == words
