from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest

from chamelaion_async import APIStatusError, ChamelaionError

from .memory_service import MemoryService, refused_with, troubles


@pytest.fixture
def serve() -> type[MemoryService]:
    """Make a service; called in the running loop, with what is special about it."""
    return MemoryService


@pytest.fixture
def refused() -> Callable[..., APIStatusError]:
    """Make the error of an answer with a status."""
    return refused_with


@pytest.fixture
def trouble() -> Mapping[str, Callable[[], ChamelaionError]]:
    """Make what a call that is in trouble raises, by the name of the trouble."""
    return troubles
