"""Times that no clock shows, for those of the running loop's clock, in seconds."""

from __future__ import annotations

from typing import Final

__all__ = ["ALWAYS", "NEVER"]

ALWAYS: Final = float("-inf")
"""A time that has always passed."""

NEVER: Final = float("inf")
"""A time that does not come."""
