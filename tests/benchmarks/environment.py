"""The versions and the machine, on which the figures depend."""

from __future__ import annotations

import os
import platform
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import vendor

import chamelaion_async

PACKAGES = ("aiohttp", "attrs", "cattrs", "tenacity", *vendor.PACKAGES)


def _processor() -> str:
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def describe() -> dict[str, Any]:
    """Return versions, None for what is not installed, and the machine."""
    return {
        "versions": {
            "python": platform.python_version(),
            "chamelaion_async": chamelaion_async.__version__,
            **{package: _version(package) for package in PACKAGES},
        },
        "machine": {
            "processor": _processor(),
            "cores": os.cpu_count(),
            "architecture": platform.machine(),
            "kernel": platform.release(),
        },
    }
