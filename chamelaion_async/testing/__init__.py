"""Tests of programs that use this package: a pytest plugin, virtual time, and mocks that work.

``pytest_plugins = ["chamelaion_async.testing"]`` in the topmost ``conftest.py`` brings the fixtures of `plugin`. They
need the extra ``testing``; the names below need no more than the package. PYTEST_DONT_REWRITE: nothing here is
asserted, and pytest would warn where this is imported before the plugin.
"""

from .mocks import patched_aioresponses
from .threads import sandbox_in_thread
from .virtual_time import VirtualTimeLoop

__all__ = ["VirtualTimeLoop", "patched_aioresponses", "sandbox_in_thread"]

pytest_plugins: list[str] = ["chamelaion_async.testing.plugin"]
