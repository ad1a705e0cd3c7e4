"""What the package is built, tested and released with: pinned, hashed, and in step with pyproject.toml."""

from __future__ import annotations

import ast
import importlib.metadata
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

import chamelaion_async

ROOT = Path(__file__).parents[1]
PYPROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
LOCK = ROOT / ".ci" / "lock.txt"
LOWEST = ROOT / ".ci" / "lowest.txt"

_PIN = re.compile(
    r"^(?P<name>[a-z0-9][a-z0-9-]*)==(?P<version>\S+)(?: ; [^\n\\]+?)?(?: \\\n    --hash=sha256:[0-9a-f]{64})+$",
    re.MULTILINE,
)
_USES = re.compile(r"uses: *(?P<action>\S+)(?P<comment>.*)")
_PINNED = re.compile(r"[\w.-]+/[\w./-]+@[0-9a-f]{40}")


def sessions_constant(name: str) -> Any:
    """Return a constant of noxfile.py, which cannot be imported where nox is not installed."""
    tree = ast.parse((ROOT / "noxfile.py").read_text("utf-8"))
    values = {
        target.id: node.value
        for node in tree.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    return ast.literal_eval(values[name])


def top_entry(version: str) -> str:
    """Call the function of that name in noxfile.py."""
    tree = ast.parse((ROOT / "noxfile.py").read_text("utf-8"))
    tree.body = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "top_entry"]
    namespace: dict[str, Any] = {"re": re}
    exec(compile(tree, "noxfile.py", "exec"), namespace)
    return str(namespace["top_entry"](version))


SETS: dict[str, list[str]] = sessions_constant("SETS")
LOWEST_SET: list[str] = sessions_constant("LOWEST_SET")


def of_group(name: str) -> Iterator[str]:
    for entry in PYPROJECT["dependency-groups"][name]:
        if isinstance(entry, str):
            yield entry
        else:
            yield from of_group(entry["include-group"])


def declared(sources: list[str]) -> list[Requirement]:
    """Return what pyproject.toml asks for and a lock is made from."""
    found: list[str] = []
    extras = PYPROJECT["project"]["optional-dependencies"]
    for source in sources:
        option, _, value = source.partition("=")
        if option == "pyproject.toml":
            found += PYPROJECT["project"]["dependencies"]
        elif option == "--all-extras":
            found += [entry for extra in extras.values() for entry in extra]
        elif option == "--extra":
            found += extras[value]
        elif option == "--group":
            found += of_group(value)
    return [Requirement(entry) for entry in found]


def pins(text: str) -> dict[str, list[Version]]:
    """Return the versions by name; where markers tell platforms apart, a name has several."""
    found: dict[str, list[Version]] = {}
    for pin in _PIN.finditer(text):
        found.setdefault(pin["name"], []).append(Version(pin["version"]))
    return found


def printed(name: str) -> subprocess.CompletedProcess[str]:
    """Run what the sessions and the workflows run to get a part of the lock."""
    command = [sys.executable, str(ROOT / ".ci" / "locked.py"), name]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def outside_range(requirements: list[Requirement], locked: dict[str, list[Version]]) -> list[str]:
    return [
        str(requirement)
        for requirement in requirements
        if not (versions := locked.get(canonicalize_name(requirement.name)))
        or not all(requirement.specifier.contains(version) for version in versions)
    ]


@pytest.mark.parametrize("file", [LOCK, LOWEST], ids=lambda file: file.name)
def test_a_lock_is_pins_with_hashes_and_names_no_address_and_no_folder(file: Path) -> None:
    text = file.read_text("utf-8")
    assert [line for line in _PIN.sub("", text).splitlines() if line and not line.lstrip().startswith("#")] == []
    assert not re.search(r"://|[\s=]/", text)


def test_each_package_in_the_lock_is_for_a_set_and_each_set_for_a_session() -> None:
    text = LOCK.read_text("utf-8")
    named = re.findall(r"^    # for (.+)$", text, re.MULTILINE)
    assert len(named) == len(_PIN.findall(text))
    assert {name for names in named for name in names.split()} == SETS.keys()
    sources = (ROOT / "noxfile.py").read_text("utf-8")
    assert {*re.findall(r'locked\(session, "(\w+)"\)', sources)} | {"nox"} == SETS.keys()


@pytest.mark.parametrize("name", SETS)
def test_a_part_of_the_lock_is_whole_entries_that_hold_what_is_declared(name: str) -> None:
    part = printed(name).stdout
    assert _PIN.sub("", part).strip() == ""
    assert all(pin[0] in LOCK.read_text("utf-8") for pin in _PIN.finditer(part))
    assert outside_range(declared(SETS[name]), pins(part)) == []


def test_a_part_leaves_out_the_packages_of_other_sets() -> None:
    assert {*pins(printed("lock").stdout)} == {"uv"}
    assert "orjson" in pins(printed("runtime").stdout)
    assert "orjson" not in pins(printed("bench").stdout)


def test_a_set_that_the_lock_does_not_name_is_an_error() -> None:
    done = printed("tes")
    assert done.returncode == 1
    assert done.stdout == ""
    assert "no package in the lock is for 'tes'" in done.stderr


def test_the_lowest_versions_hold_what_is_declared() -> None:
    assert outside_range(declared(LOWEST_SET), pins(LOWEST.read_text("utf-8"))) == []


def test_the_lowest_versions_are_those_that_are_declared() -> None:
    locked = pins(LOWEST.read_text("utf-8"))
    for requirement in declared(["pyproject.toml", "--all-extras"]):
        (bound,) = (bound for bound in requirement.specifier if bound.operator == ">=")
        assert locked[canonicalize_name(requirement.name)] == [Version(bound.version)], requirement


@pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: file.name)
def test_a_workflow_pins_each_action_by_its_hash_and_says_the_version(file: Path) -> None:
    used = list(_USES.finditer(file.read_text("utf-8")))
    assert used
    assert [use["action"] for use in used if not _PINNED.fullmatch(use["action"])] == []
    assert [use["action"] for use in used if not re.fullmatch(r" # v\d+(\.\d+)+", use["comment"])] == []


def test_an_action_has_one_version_in_all_workflows() -> None:
    used = {use["action"] for file in WORKFLOWS for use in _USES.finditer(file.read_text("utf-8"))}
    names = [action.partition("@")[0] for action in used]
    assert sorted(names) == sorted(set(names))


@pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: file.name)
def test_a_workflow_installs_by_hash_only(file: Path) -> None:
    installs = [line for line in file.read_text("utf-8").splitlines() if re.search(r"\bpip\b.*\binstall\b", line)]
    assert [line for line in installs if "--require-hashes" not in line] == []


def test_one_list_of_pythons_is_declared_and_tested() -> None:
    label = "Programming Language :: Python :: 3."
    declared = [
        f"3.{classifier.removeprefix(label)}"
        for classifier in PYPROJECT["project"]["classifiers"]
        if classifier.startswith(label)
    ]
    matrix = re.search(r"python: (\[.*\])", (ROOT / ".github" / "workflows" / "ci.yml").read_text("utf-8"))
    assert matrix
    assert ast.literal_eval(matrix[1]) == declared
    assert PYPROJECT["project"]["requires-python"] == f">={declared[0]}"


def test_the_source_distribution_holds_what_the_tests_need_and_no_findings() -> None:
    included = PYPROJECT["tool"]["hatch"]["build"]["targets"]["sdist"]["include"]
    assert [name for name in included if not (ROOT / name).exists()] == []
    assert {"chamelaion_async", "tests", "docs", "noxfile.py"} <= {*included}
    assert "findings" not in included


def test_the_wheel_holds_the_package_and_nothing_else() -> None:
    folder = Path(chamelaion_async.__file__).parent
    if folder.parent == ROOT:
        pytest.skip("run from the folder, not from a wheel")
    files = [file for file in importlib.metadata.files("chamelaion-async") or [] if "__pycache__" not in file.parts]
    held = {file.as_posix() for file in files if file.parts[0] == "chamelaion_async"}
    source = ROOT / "chamelaion_async"
    assert held == {
        file.relative_to(ROOT).as_posix()
        for file in source.rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    }
    assert "chamelaion_async/py.typed" in held
    others = {file.parts[0] for file in files} - {"chamelaion_async", ".."}
    assert others == {f"chamelaion_async-{chamelaion_async.__version__}.dist-info"}


def test_the_newest_entry_of_the_changelog_is_that_of_the_version() -> None:
    entries = re.findall(r"^## (.+)$", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)
    assert re.fullmatch(top_entry(chamelaion_async.__version__), entries[0])


@pytest.mark.parametrize(
    ("version", "entry", "agree"),
    [
        ("0.1.0.dev0", "Unreleased", True),
        ("0.1.0", "0.1.0 - 2026-12-31", True),
        ("0.1.0", "Unreleased", False),
        ("0.1.0", "0.1.0", False),
        ("0.1.0", "0.1.1 - 2026-12-31", False),
        ("0.1.0", "0x1.0 - 2026-12-31", False),
        ("0.1.0.dev0", "0.1.0 - 2026-12-31", False),
    ],
)
def test_a_version_has_an_entry_with_its_date_once_it_is_released(version: str, entry: str, agree: bool) -> None:
    assert bool(re.fullmatch(top_entry(version), entry)) == agree
