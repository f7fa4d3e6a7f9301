"""Ctrl-C and SIGTERM: finish the running step, save, and leave with a code of its own."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Any

FINISHED_EXIT_CODE = 0
INTERRUPTED_EXIT_CODE = 130
"""After Ctrl-C (128 + SIGINT, what shells report)."""
PREEMPTED_EXIT_CODE = 42
"""After SIGTERM, with the state saved: launchers start such a run again."""

_EXIT_CODES = {signal.SIGINT: INTERRUPTED_EXIT_CODE, signal.SIGTERM: PREEMPTED_EXIT_CODE}


class StopRequest:
    """A context in which SIGINT and SIGTERM ask for a stop instead of killing the process.

    The first signal sets `exit_code`; the loop looks at it after every step. The signal's former
    handler is then back in place, so that a second one ends a process that is stuck.
    """

    def __init__(self) -> None:
        self.exit_code: int | None = None
        self._former: dict[int, Any] = {}

    def __bool__(self) -> bool:
        """Whether a stop was asked for."""
        return self.exit_code is not None

    def __enter__(self) -> StopRequest:
        # Python delivers signals to the main thread alone, and only it may set handlers.
        if threading.current_thread() is threading.main_thread():
            self._former = {number: signal.signal(number, self._ask) for number in _EXIT_CODES}
        return self

    def __exit__(
        self,
        exception_type: type[BaseException] | None,
        exception: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for number, handler in self._former.items():
            signal.signal(number, handler)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        del frame
        self.exit_code = _EXIT_CODES[signal.Signals(number)]
        signal.signal(number, self._former[number])
        name = signal.Signals(number).name
        print(f"\n{name}: finishing the running step, then saving", flush=True)
