"""The list of survivors is kept as the source and the check of a mutation run need it."""

from __future__ import annotations

import importlib
import inspect
from pathlib import Path

import pytest

from .survivors import LIST, Survivor, change_between, read, write

KNOWN = read(LIST)


def source_of(function: str) -> str:
    """Return the source of a function, its lines joined as in the list."""
    module, name = function, ""
    while True:
        try:
            found = importlib.import_module(module)
            break
        except ModuleNotFoundError:
            module, _, last = module.rpartition(".")
            name = f"{last}.{name}".rstrip(".")
    for part in name.split("."):
        found = getattr(found, part)
    return " ".join(line.strip() for line in inspect.getsource(found).splitlines())


def test_every_survivor_has_a_reason() -> None:
    assert [survivor for survivor, reason in KNOWN.items() if not reason.strip()] == []


def test_every_survivor_changes_a_line_that_there_is() -> None:
    assert [survivor for survivor in KNOWN if survivor.original not in source_of(survivor.function)] == []


def test_the_list_is_as_it_would_be_written(tmp_path: Path) -> None:
    write(tmp_path / "list", KNOWN)
    assert (tmp_path / "list").read_text("utf-8") == LIST.read_text("utf-8")


@pytest.mark.parametrize(
    ("before", "after", "change"),
    [
        ("a = 1", "a = 2", "a = ⟦1 → 2⟧"),
        ("f(a, b)", "f(a)", "f(a⟦, b → ⟧)"),
        ("a < b", "a <= b", "a <⟦ → =⟧ b"),
        ("a = False", "a = None", "a = ⟦False → None⟧"),
        ("a, a", "a", "a⟦, a → ⟧"),
        ("", "a", "⟦ → a⟧"),
    ],
)
def test_a_change_shows_what_was_and_what_became_of_it(before: str, after: str, change: str) -> None:
    assert change_between(before, after) == change
    assert Survivor("f", change).original == before
