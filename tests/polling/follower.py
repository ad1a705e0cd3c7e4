"""Somebody who follows a request, and does nothing about it."""

from __future__ import annotations

from typing import Any

import attrs

from chamelaion_async import LipsyncRequest
from chamelaion_async.polling.state import Sighting

__all__ = ["Follower"]


@attrs.define(eq=False)
class Follower:
    """Follows a request.

    Attributes:
        entry: What it follows.
        errors: The errors of looks that it has heard of.
    """

    entry: Any = None
    errors: list[Exception] = attrs.Factory(list)

    def news(self, sighting: Sighting[LipsyncRequest]) -> None:
        """Hear how the request stands."""

    def missed(self, error: Exception) -> None:
        """Hear why a look failed."""
        self.errors.append(error)
