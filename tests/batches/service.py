"""The old path of ``tests.support.api``, for the tests beside it."""

from __future__ import annotations

from tests.support import api, loops
from tests.support.api import *  # noqa: F403

Service = api.InMemoryApi
turns = loops.turns
