"""Redis or Valkey as others of this package see it: scripts that are run, and channels that are listened to."""

from __future__ import annotations

from .connection import Argument, Engine, EngineLost
from .subscription import Subscription

__all__ = ["Argument", "Engine", "EngineLost", "Subscription"]
