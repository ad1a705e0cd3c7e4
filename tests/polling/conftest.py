from __future__ import annotations

from tests.loading.conftest import refused, serve, trouble

__all__ = ["refused", "serve", "trouble"]
