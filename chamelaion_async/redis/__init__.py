"""Sharing through Redis or Valkey, which needs the extra ``redis``."""

from __future__ import annotations
