"""The old path of ``tests.support.source``, for the tests that import it."""

from __future__ import annotations

from tests.support import errors, source
from tests.support.source import *  # noqa: F403

MemoryService = source.MemorySource
refused_with = errors.status_error
troubles = errors.FAILURES
