"""Sharing rate and answers through Redis or Valkey, which needs the extra ``redis``."""

from __future__ import annotations

try:
    from .shared import RedisShared
except ModuleNotFoundError as _error:
    if (_error.name or "").partition(".")[0] != "redis":
        raise
    raise ModuleNotFoundError(
        "chamelaion_async.redis needs redis-py; pip install 'chamelaion-async[redis]'", name=_error.name
    ) from _error

__all__ = ["RedisShared"]
