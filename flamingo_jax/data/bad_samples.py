"""Examples that cannot be used: why, how many, and when there are too many of them to go on.

A source or an op raises `BadSample`. The example's place is then taken by another one that follows
from its position alone (`tasks/examples.py`), so nothing stops, and positions stay what they are.
Every refusal is counted by its reason.
"""

from __future__ import annotations

import collections
import enum
import threading

from flamingo_jax.core.errors import UserError

FEWEST_TO_JUDGE = 64
"""A run is not stopped before it has seen so many examples of a dataset."""


class Reason(enum.Enum):
    """Why an example is not used. The value names it in metrics."""

    # What is in the file is not what it should be.
    TRUNCATED_IMAGE = "truncated_image"
    NOT_AN_IMAGE = "not_an_image"
    EMPTY_FILE = "empty_file"
    IMAGE_TOO_LARGE = "image_too_large"
    UNREADABLE_VIDEO = "unreadable_video"
    MISSING_MEDIA = "missing_media"
    MISSING_TEXT = "missing_text"
    EMPTY_TEXT = "empty_text"
    NOT_UTF8 = "not_utf8"
    BROKEN_RECORD = "broken_record"
    UNSAFE_NAME = "unsafe_name"
    TRUNCATED_SHARD = "truncated_shard"
    MISSING_SHARD = "missing_shard"
    NO_IMAGE = "no_image"
    NO_TEXT_AFTER_IMAGE = "no_text_after_image"
    # What a rule of the config leaves out on purpose.
    LOW_SIMILARITY = "low_similarity"
    SINGLE_IMAGE = "single_image"

    @property
    def is_rule(self) -> bool:
        """Whether the config asked for it: such examples do not count as bad."""
        return self in (Reason.LOW_SIMILARITY, Reason.SINGLE_IMAGE)


class BadSample(Exception):
    """One example cannot be used.

    Attributes:
        reason: why.
        name: where it is: "shards/0003.tar: 000017.jpg", "pages.jsonl: line 12".
    """

    def __init__(self, reason: Reason, name: str, detail: str = "") -> None:
        """Says what is wrong with the example called `name`, in `detail` more closely."""
        super().__init__(f"{name}: {reason.value}{f' ({detail})' if detail else ''}")
        self.reason = reason
        self.name = name


class Tally:
    """How many examples of a dataset were read, and how many refused, by reason.

    Threads that make examples write to it, the training loop reads it.
    """

    def __init__(self, dataset: str, max_bad_share: float) -> None:
        """Starts at zero.

        Args:
            dataset: name of the dataset, for messages.
            max_bad_share: largest share of bad ones among the read ones, from 0 to 1.
        """
        self._dataset = dataset
        self._max_bad_share = max_bad_share
        self._lock = threading.Lock()
        self._num_read = 0
        self._refused: collections.Counter[Reason] = collections.Counter()
        self._problems: collections.Counter[Reason] = collections.Counter()
        self._first = ""

    def count_read(self) -> None:
        """Counts an example that was looked at, good or bad."""
        with self._lock:
            self._num_read += 1

    def count_problem(self, bad: BadSample) -> None:
        """Counts what was found when the files were opened: shards, not examples, hence no share.

        An index refuses to open when most of its shards are missing.
        """
        with self._lock:
            self._problems[bad.reason] += 1

    def count_refused(self, bad: BadSample) -> None:
        """Counts an example that is not used.

        Raises:
            UserError: more than `max_bad_share` of at least `FEWEST_TO_JUDGE` examples are bad;
                tells how many for which reason, and the first of them.
        """
        with self._lock:
            self._refused[bad.reason] += 1
            if bad.reason.is_rule:
                return
            self._first = self._first or str(bad)
            num_bad = sum(n for reason, n in self._refused.items() if not reason.is_rule)
            if num_bad <= self._max_bad_share * max(self._num_read, FEWEST_TO_JUDGE):
                return
            counts = ", ".join(
                f"{reason.value} {n}"
                for reason, n in self._refused.most_common()
                if not reason.is_rule
            )
        raise UserError(
            f"dataset {self._dataset!r}: {num_bad} of {self._num_read} examples are bad ({counts});"
            f" the first is {self._first}. That is more than max_bad_share {self._max_bad_share:g}:"
            f" look with `python -m flamingo_jax.prepare validate`, mend the files, or raise"
            f" config.data[{self._dataset}].max_bad_share"
        )

    def metrics(self) -> dict[str, int]:
        """{"data/<dataset>/read": n, "data/<dataset>/refused/<reason>": n, ...} so far."""
        with self._lock:
            refused = self._refused + self._problems
            counts = {f"refused/{reason.value}": n for reason, n in refused.items()}
            found = {"read": self._num_read} | dict(sorted(counts.items()))
        return {f"data/{self._dataset}/{name}": n for name, n in found.items()}
