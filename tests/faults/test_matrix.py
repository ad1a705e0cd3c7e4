"""Every fault meets every operation: what comes of it is the result or a named error, in time, and nothing else.

With ``CHAMELAION_ALL_FAULTS`` set, as ``nox -s faults`` does, all cells are played. Otherwise each fault meets a
third of the operations, the next third for the next fault, so that every fault and every operation has its part.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

import pytest

from chamelaion_async import errors

from .catalogue import CATALOGUE
from .matrix import Cell, cells, play
from .rules import RECOVERS
from .table import PAGE, page

STEP = 1 if os.environ.get("CHAMELAION_ALL_FAULTS") else 3
LINES = {
    name: line[number % min(STEP, len(line)) :: STEP]
    for number, (name, line) in enumerate(
        (name, list(group)) for name, group in groupby(cells(), key=lambda cell: cell.line)
    )
}


@pytest.fixture(scope="module", autouse=True)
def _nothing_stays_frozen() -> Iterator[None]:
    gc.collect()
    yield
    gc.unfreeze()


@pytest.mark.virtual_time
@pytest.mark.parametrize("line", LINES.values(), ids=LINES)
async def test_an_operation_recovers_or_names_the_fault(line: list[Cell], tmp_path: Path) -> None:
    failures = []
    for cell in line:
        folder = tmp_path / cell.operation.key
        folder.mkdir()
        try:
            await play(cell, folder)
        except Exception as error:  # noqa: BLE001 - each cell is to be reported
            failures.append(f"{cell.operation.title}: expected {cell.expected}, but {type(error).__name__}: {error}")
    assert not failures, "\n".join(failures)


def test_every_fault_and_every_operation_has_its_part() -> None:
    played = [cell for line in LINES.values() for cell in line]
    assert all(LINES.values())
    assert {cell.operation.key for cell in played} == {cell.operation.key for cell in cells()}


def test_the_catalogue_names_each_fault_once() -> None:
    names = [(row.chapter, row.name) for row in CATALOGUE]
    assert len(names) == len(set(names)) >= 40


def test_what_is_expected_is_an_error_of_the_tree() -> None:
    assert {cell.expected for cell in cells()} <= {RECOVERS, *errors.__all__}


def test_the_page_is_what_the_matrix_says() -> None:
    """Write it again with ``python -m tests.faults.table``."""
    assert PAGE.read_text(encoding="utf-8") == page()
