"""What these tests compile runs a few times: few optimisations take half the time in all."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.compilation import fast_compilation


@pytest.fixture(autouse=True, scope="module")
def _fast_compilation() -> Iterator[None]:
    with fast_compilation():
        yield
