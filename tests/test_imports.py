"""The direction of the arrows: a module imports only from rooms below its own, and the core imports no extra."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

import chamelaion_async

PACKAGE = "chamelaion_async"
ROOT = Path(chamelaion_async.__file__).parent

PROJECT = Path(__file__).parent.parent
ROW = re.compile(r"\| (\d) \| (`.+`) \|")  # of the table in CONTRIBUTING.md


def rows(text: str) -> dict[str, int]:
    """Return the row of each room, a module or a package directly below ours, as a table in Markdown shows it."""
    found = [(int(row[1]), re.findall(r"`(\w+)(?:\.py|/)`", row[2])) for row in ROW.finditer(text)]
    return {room: number for number, rooms in found for room in rooms}


ROWS = rows((PROJECT / "CONTRIBUTING.md").read_text("utf-8"))
TOP_ROW = max(ROWS.values())
CORE_NEEDS = {"aiohttp", "attrs", "cattrs", "tenacity", "multidict", "yarl"}  # the last two come with aiohttp
REDIS_NEEDS = CORE_NEEDS | {"redis"}
SANDBOX_NEEDS = {"aiohttp", "attrs", "multidict", "yarl"}


SANDBOX_ROWS = {"clips": 0, "world": 0, "endpoints": 1, "front": 2, "control": 2, "checks": 3, "server": 4, "": 5}
"""The row of each room below ``sandbox/``; the last is ``sandbox/__init__.py``."""


def modules() -> Iterator[tuple[str, bool, str]]:
    """Yield name, whether it is a package, and source of every module."""
    for file in sorted(ROOT.rglob("*.py")):
        parts = [PACKAGE, *file.relative_to(ROOT).with_suffix("").parts]
        is_package = parts[-1] == "__init__"
        yield ".".join(parts[:-1] if is_package else parts), is_package, file.read_text("utf-8")


def imported(name: str, is_package: bool, source: str) -> Iterator[str]:
    """Yield the full names that a module imports anywhere in it, ``TYPE_CHECKING`` and functions included.

    ``from .x import y`` gives ``package.x.y``: whether ``y`` is a module makes no difference to the room.
    """
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parents = name.split(".") if is_package else name.split(".")[:-1]
                above = parents[: len(parents) - node.level + 1]
                base = ".".join([*above, base] if base else above)
            yield from (f"{base}.{alias.name}" for alias in node.names)


def room_of(name: str) -> str:
    """Return the room of a full name within the package; the package's own front is ``""``."""
    return [*name.split("."), ""][1]


def violations(name: str, is_package: bool, source: str) -> list[str]:
    """Say which imports of a module go upwards or sideways."""
    room = room_of(name)
    found = []
    for target in imported(name, is_package, source):
        if target.split(".")[0] != PACKAGE:
            continue
        other = room_of(target)
        if other not in ROWS and other != "sandbox":
            other = ""  # a name of the front, such as AsyncClient
        if not _may_import(room, other):
            found.append(f"{name} imports {target}")
    return found


def _may_import(room: str, other: str) -> bool:
    if room == other:
        return room != ""
    if room == "sandbox" or other == "redis":  # what is shared through is the user's choice
        return False
    if room == "":
        return ROWS.get(other, TOP_ROW) < TOP_ROW
    if other in ("sandbox", ""):
        return ROWS.get(room) == TOP_ROW
    return ROWS[other] < ROWS.get(room, -1)


def sandbox_violations(name: str, is_package: bool, source: str) -> list[str]:
    """Say which imports of a module of the sandbox go to a row that is not below its own."""
    room = room_of(name.removeprefix(f"{PACKAGE}."))
    targets = [target for target in imported(name, is_package, source) if target.startswith(f"{PACKAGE}.sandbox")]
    others = [room_of(target.removeprefix(f"{PACKAGE}.")) for target in targets]
    return [
        f"{name} imports {target}"
        for target, other in zip(targets, others, strict=True)
        if other != room and not SANDBOX_ROWS.get(other, SANDBOX_ROWS[""]) < SANDBOX_ROWS[room]
    ]


def outsiders(source: str) -> set[str]:
    """Return the foreign top-level names that are imported as soon as the module is."""
    pending: list[ast.AST] = list(ast.parse(source).body)
    found = set()
    while pending:
        node = pending.pop()
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            found.add(node.module.split(".")[0])
        elif not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            pending.extend(ast.iter_child_nodes(node))
    return found - sys.stdlib_module_names - {PACKAGE}


MODULES = [pytest.param(*module, id=module[0]) for module in modules()]
CORE = [p for p in MODULES if room_of(str(p.values[0])) not in ("sandbox", "cli", "testing", "tracing", "redis")]
TESTING = [p for p in MODULES if room_of(str(p.values[0])) == "testing"]
REDIS = [p for p in MODULES if room_of(str(p.values[0])) == "redis"]
SANDBOX = [p for p in MODULES if room_of(str(p.values[0])) == "sandbox"]


@pytest.mark.parametrize(("name", "is_package", "source"), MODULES)
def test_a_module_has_a_room(name: str, is_package: bool, source: str) -> None:
    assert room_of(name) in {"", "sandbox", *ROWS}


@pytest.mark.parametrize(("name", "is_package", "source"), MODULES)
def test_a_module_imports_only_from_below(name: str, is_package: bool, source: str) -> None:
    assert violations(name, is_package, source) == []


@pytest.mark.parametrize(("name", "is_package", "source"), SANDBOX)
def test_a_module_of_the_sandbox_imports_only_from_rooms_below(name: str, is_package: bool, source: str) -> None:
    assert sandbox_violations(name, is_package, source) == []


@pytest.mark.parametrize(
    ("name", "source", "found"),
    [
        ("world.store", "from ..clips import silence", 1),
        ("clips.video", "from ..world.jobs import Job", 1),
        ("world.world", "from ..endpoints.answers import ApiError", 1),
        ("endpoints.calls", "if TYPE_CHECKING:\n    from ..front.lanes import Lane", 1),
        ("front.listener", "from ..server import Sandbox", 1),
        ("front.listener", "from .. import Sandbox", 1),
        ("front.listener", "from .pipeline import Pipeline\nfrom ..world.jobs import Job", 0),
        ("endpoints.output", "from .. import clips\nfrom ..world import jobs\nimport asyncio", 0),
        ("server", "from .front.listener import Listener", 0),
    ],
)
def test_the_check_sees_an_import_that_goes_up_in_the_sandbox(name: str, source: str, found: int) -> None:
    assert len(sandbox_violations(f"{PACKAGE}.sandbox.{name}", False, source)) == found


@pytest.mark.parametrize(("name", "is_package", "source"), CORE)
def test_the_core_needs_four_packages_and_no_extra(name: str, is_package: bool, source: str) -> None:
    assert outsiders(source) <= CORE_NEEDS


@pytest.mark.parametrize(("name", "is_package", "source"), TESTING)
def test_what_users_test_with_needs_pytest_in_the_plugin_alone(name: str, is_package: bool, source: str) -> None:
    plugin = {"pytest", "pytest_asyncio"} if name.endswith(".plugin") else set()
    assert outsiders(source) - {"aioresponses"} <= CORE_NEEDS | plugin


def test_tracing_needs_the_api_of_opentelemetry_alone() -> None:
    (source,) = [source for name, _, source in modules() if name == f"{PACKAGE}.tracing"]
    assert outsiders(source) == {"attrs", "opentelemetry"}
    assert {name for name in imported(PACKAGE, True, source) if name.startswith("opentelemetry")} == {
        "opentelemetry.metrics",
        "opentelemetry.trace",
    }


@pytest.mark.parametrize(("name", "is_package", "source"), REDIS)
def test_sharing_needs_one_package_more_than_the_core(name: str, is_package: bool, source: str) -> None:
    assert outsiders(source) <= REDIS_NEEDS


@pytest.mark.parametrize(("name", "is_package", "source"), SANDBOX)
def test_the_sandbox_needs_no_more_than_the_core(name: str, is_package: bool, source: str) -> None:
    assert outsiders(source) <= SANDBOX_NEEDS


@pytest.mark.parametrize(
    ("name", "is_package", "source"),
    [
        ("errors", False, "from .models import Job"),
        ("models", False, "from .config import Pace"),
        ("config", False, "from . import models"),
        ("models", False, "from chamelaion_async._http.decoding import structure_hook"),
        ("config", False, "import chamelaion_async._http.transport as t"),
        ("_http.lifecycle", False, "from ..loading import reads"),
        ("_http.transport", False, "from . import lifecycle\nfrom .. import client"),
        ("_http.transport", False, "def late():\n    from ..client import AsyncClient"),
        ("_http.transport", False, "if TYPE_CHECKING:\n    from ..resources.lipsync import X"),
        ("_http.transport", False, "from .. import AsyncClient"),
        ("_http.transport", False, "import chamelaion_async"),
        ("_http.transport", False, "from ..sandbox import Sandbox"),
        ("loading.loader", False, "from ..polling.wait import poll_until_finished"),
        ("loading.loader", False, "from .._media import downloads"),
        ("polling.wait", False, "from ..resources import requests"),
        ("loading", True, "from .._media.uploads import Upload"),
        ("polling.deep", True, "from ...client import AsyncClient"),
        ("_media.uploads", False, "from ..polling.wait import poll_until_finished"),
        ("resources.lipsync", False, "from ..client import AsyncClient"),
        ("client", False, "from .cli import main"),
        ("client", False, "from .redis import RedisShared"),
        ("client", False, "import chamelaion_async.sandbox.server"),
        ("", True, "from .cli import main"),
        ("", True, "from .sandbox import Sandbox"),
        ("sandbox.server", False, "from ..errors import ChamelaionError"),
        ("sandbox.server", False, "from .. import __version__"),
        ("sandbox", True, "import chamelaion_async.models"),
    ],
)
def test_the_check_sees_an_import_that_goes_up_or_sideways(name: str, is_package: bool, source: str) -> None:
    full = f"{PACKAGE}.{name}" if name else PACKAGE
    assert len(violations(full, is_package, source)) == 1


@pytest.mark.parametrize(
    ("name", "is_package", "source"),
    [
        ("errors", False, "import asyncio\nfrom attrs import frozen"),
        ("models", False, "from .errors import ChamelaionError"),
        ("_http.transport", False, "from . import secrets\nfrom .lifecycle import CancelScope"),
        ("polling.wait", False, "from .spacing import spacing\nfrom ..models import Job"),
        ("polling.wait", False, "from . import spacing"),
        ("polling.wait", False, "from ..loading.entries import Snapshot"),
        ("polling", True, "from .wait import poll_until_finished\nfrom . import batch"),
        ("resources.lipsync", False, "from .._http import addresses\nfrom .requests import RequestsResource"),
        ("", True, "from .client import AsyncClient\nfrom ._version import __version__"),
        ("cli.app", False, "from .. import AsyncClient\nfrom ..sandbox import Sandbox\nfrom .text import show"),
        ("sandbox.server", False, "from .clock import Clock\nfrom . import lanes\nimport chamelaion_async.sandbox"),
    ],
)
def test_the_check_lets_an_import_that_goes_down_pass(name: str, is_package: bool, source: str) -> None:
    full = f"{PACKAGE}.{name}" if name else PACKAGE
    assert violations(full, is_package, source) == []


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("import orjson", {"orjson"}),
        ("from rich.table import Table", {"rich"}),
        ("try:\n    import orjson\nexcept ImportError:\n    pass", {"orjson"}),
        ("class A:\n    import orjson", {"orjson"}),
        ("def late():\n    import orjson", set()),
        ("import json\nfrom .models import Job", set()),
    ],
)
def test_the_check_sees_what_is_imported_along(source: str, found: set[str]) -> None:
    assert outsiders(source) == found


def test_the_check_looks_at_every_room_of_the_package() -> None:
    seen = {room_of(name) for name, _, _ in modules()}
    low = {"errors", "models", "_http", "_media", "loading"}
    assert seen >= {"", *low, "polling", "resources", "client", "sandbox"}


def test_the_table_of_rows_names_every_room_once_and_no_other() -> None:
    text = (PROJECT / "CONTRIBUTING.md").read_text("utf-8")
    named = [room for row in ROW.finditer(text) for room in re.findall(r"`(\w+)(?:\.py|/)`", row[2])]
    assert sorted(named) == sorted({room_of(name) for name, _, _ in modules()} - {"", "sandbox"})


def circles(arrows: dict[str, set[str]]) -> list[str]:
    """Return the modules that reach themselves along the arrows."""
    found = []
    for start in sorted(arrows):
        reached: set[str] = set()
        pending = {*arrows[start]}
        while pending:
            name = pending.pop()
            if name not in reached:
                reached.add(name)
                pending |= arrows.get(name, set())
        if start in reached:
            found.append(start)
    return found


def arrows_between_modules(found: Iterable[tuple[str, bool, str]]) -> dict[str, set[str]]:
    """Return which modules each module imports, ``TYPE_CHECKING`` and functions included."""
    known = {name: (is_package, source) for name, is_package, source in found}
    arrows: dict[str, set[str]] = {}
    for name, (is_package, source) in known.items():
        targets = set()
        for full in imported(name, is_package, source):
            target = full
            while target and target not in known:
                target = target.rpartition(".")[0]
            targets.add(target)
        arrows[name] = targets - {name, ""}
    return arrows


def test_no_module_reaches_itself_through_others() -> None:
    assert circles(arrows_between_modules(modules())) == []


def test_the_check_sees_a_circle_that_only_type_checkers_see() -> None:
    first = ("p.a", False, "if TYPE_CHECKING:\n    from .b import B")
    second = ("p.b", False, "from . import c")
    third = ("p.c", False, "from .a import A")
    assert circles(arrows_between_modules([first, second, third])) == ["p.a", "p.b", "p.c"]
    assert circles(arrows_between_modules([first, second])) == []


@pytest.fixture(scope="module")
def loaded() -> set[str]:
    """The modules that stand in a fresh interpreter after ``import chamelaion_async``."""
    answer = subprocess.run(
        [sys.executable, "-c", f"import {PACKAGE}, sys; print(*sys.modules, sep='\\n')"],
        capture_output=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(ROOT.parent)},
        text=True,
        timeout=60,
    )
    return set(answer.stdout.split())


def test_a_fresh_interpreter_loads_the_client(loaded: set[str]) -> None:
    assert f"{PACKAGE}.client" in loaded


@pytest.mark.parametrize(
    "name",
    [
        "cyclopts",
        "rich",
        "orjson",
        "redis",
        "pytest",
        f"{PACKAGE}.sandbox",
        f"{PACKAGE}.cli",
        f"{PACKAGE}.redis",
        f"{PACKAGE}.testing",
        "opentelemetry",
    ],
)
def test_importing_the_package_does_not_load(name: str, loaded: set[str]) -> None:
    assert [module for module in loaded if module == name or module.startswith(f"{name}.")] == []
