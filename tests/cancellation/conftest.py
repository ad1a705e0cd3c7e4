"""What the walks share."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest


@pytest.fixture(scope="module", autouse=True)
def _nothing_stays_frozen() -> Iterator[None]:
    """What is left of one scenario is looked for with all that was there before set aside."""
    gc.collect()
    yield
    gc.unfreeze()
