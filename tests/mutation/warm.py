"""Loads once what every worker of a mutation run needs: pytest with its plugins, the shared fixtures, the package.

The test modules are not among it: pytest escapes the ids of a module's tests once more whenever it collects it again,
so that a worker would not find them.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
from pathlib import Path

import pytest

with contextlib.chdir(Path(__file__).parents[2]):
    pytest.main(["--collect-only", "-qqq", "-p", "no:cacheprovider", "--assert=plain", "tests/mutation"])

# Only now: pytest complains about plugins that were there before it.
for name in ("hypothesis.strategies", "chamelaion_async.sandbox"):
    importlib.import_module(name)

gc.freeze()  # or each collection of a worker would go over all of it
