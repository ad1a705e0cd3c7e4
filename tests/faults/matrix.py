"""The cells of the matrix, and how one is played: an operation recovers or names the fault, and leaves nothing."""

from __future__ import annotations

import asyncio
import random
import threading
import traceback
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path
from typing import Final

import attrs

from chamelaion_async import (
    AsyncClient,
    ChamelaionError,
    ClientClosedError,
    PollPolicy,
    SubmissionUncertainError,
    WaitError,
)
from chamelaion_async.sandbox import Sandbox

from .catalogue import CATALOGUE
from .leftovers import Leftovers
from .operations import OPERATIONS, Errors, Operation
from .row import Row
from .rules import NOTHING, RECOVERS
from .setup import IDS, KEY, OUTPUT, LoopClock, Setup

_JOB_SECONDS: Final = 5.0
_POLLING: Final = PollPolicy(outage_budget=10.0, request_timeout=5.0)  # so that waits give up after a few polls
_LIMIT: Final = 10.0  # seconds of real time for an operation, which takes a few hundredths of one
_AFTERWARDS: Final = 130.0  # seconds for a call once the fault is gone: a lane may be closed until then


@attrs.frozen(kw_only=True)
class Cell:
    """One fault, only_once or staying, and one operation.

    Attributes:
        row: The fault.
        stays: Whether it stays.
        operation: The operation.
        expected: ``RECOVERS`` or the name of an error.
    """

    row: Row
    stays: bool
    operation: Operation
    expected: str

    @property
    def line(self) -> str:
        """The fault, and whether it stays."""
        return f"{self.row.chapter}: {self.row.name}, {'always' if self.stays else 'once'}"

    @property
    def name(self) -> str:
        """The line, and the operation."""
        return f"{self.line}: {self.operation.title}"


def cells() -> Iterator[Cell]:
    """Yield every cell in which the fault can meet the operation."""
    for row in CATALOGUE:
        for stays, rule in ((False, row.once), (True, row.always)):
            for operation in OPERATIONS:
                expected = rule.get(operation.key, NOTHING)
                if expected:
                    yield Cell(row=row, stays=stays, operation=operation, expected=expected)


async def play(cell: Cell, folder: Path) -> None:
    """Play a cell; whatever is not as expected is an AssertionError."""
    random.seed(cell.name)
    with Leftovers() as leftovers:
        async with AsyncExitStack() as stack:
            setup = await _set_up(cell, folder, stack)
            await cell.row.arrange(setup)
            if cell.operation.kind != "paid":
                _add_jobs(setup, 0.0 if cell.operation.kind == "file" else _JOB_SECONDS)
            setup.client = AsyncClient(KEY, **setup.options)
            stack.push_async_callback(_close, setup)
            for prepare in setup.before:
                await prepare()
            with leftovers.client_at_work():
                await _run_operation(cell, setup, leftovers)
        left = await leftovers.rest()
        assert left == [], left


def _add_jobs(setup: Setup, seconds: float) -> None:
    for number, id in enumerate(IDS):
        setup.sandbox.add_job(id=id, reference_id=f"dub-{number}", job_seconds=seconds, output=OUTPUT)


async def _run_operation(cell: Cell, setup: Setup, leftovers: Leftovers) -> None:
    errors = await _errors(cell.operation, setup)
    assert leftovers.tasks() == []
    _check_names(errors, cell.expected)
    error = errors[0] if errors else None
    assert KEY not in "".join(traceback.format_exception(error))
    if cell.operation.kind == "paid":
        _check_price(setup, error)
    if cell.operation.kind == "file":
        _check_disk(setup, error)
    if cell.row.is_injected or not cell.stays:
        setup.sandbox.clear_faults()
        async with asyncio.timeout(_AFTERWARDS):
            await setup.client.users.me()


async def _errors(operation: Operation, setup: Setup) -> Errors:
    """Return the error that the operation ended with, or those of its outcomes."""
    try:
        with _within_real_time():
            async with asyncio.timeout(operation.deadline + setup.slack):
                return await operation.run(setup)
    except ChamelaionError as error:
        return (error,)


@contextmanager
def _within_real_time() -> Iterator[None]:
    """End what keeps the loop busy without a pause, for which time would never come to an end."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None
    timer = threading.Timer(_LIMIT, lambda: loop.call_soon_threadsafe(task.cancel))
    timer.daemon = True
    timer.start()
    try:
        yield
    except asyncio.CancelledError as error:
        task.uncancel()
        raise AssertionError("it goes on without a pause") from error
    finally:
        timer.cancel()


def _check_names(errors: Errors, expected: str) -> None:
    """All errors are of the class that is expected; of a class that is never raised itself, of its subclasses."""
    if expected == RECOVERS:
        assert not errors, errors
    elif expected == WaitError.__name__:
        assert errors
        assert all(isinstance(error, WaitError) for error in errors), errors
    else:
        assert {type(error).__name__ for error in errors} == {expected}, errors


def _check_price(setup: Setup, error: ChamelaionError | None) -> None:
    """One submission never costs twice, and an error that does not leave it open means that it cost nothing."""
    jobs = len(setup.sandbox.jobs)
    if error is None:
        assert jobs == 1
    elif isinstance(error, (SubmissionUncertainError, ClientClosedError)):
        assert jobs <= 1
    else:
        assert jobs == 0


def _check_disk(setup: Setup, error: ChamelaionError | None) -> None:
    """Under its final name stands a whole file or none, and what else is left is what the error says."""
    file = setup.output_file
    left = sorted(path.name for path in setup.folder.iterdir())
    if error is None:
        assert file.read_bytes() == OUTPUT
        assert left == [file.name]
    elif ".part is kept" in str(error):
        assert left == [f"{file.name}.part", f"{file.name}.part.json"]
    else:
        assert left == []


async def _close(setup: Setup) -> None:
    if not setup.is_bound_elsewhere:
        await setup.client.aclose()


async def _set_up(cell: Cell, folder: Path, stack: AsyncExitStack) -> Setup:
    operation, clock = cell.operation, LoopClock()
    sandbox = await stack.enter_async_context(Sandbox(clock=clock, job_seconds=_JOB_SECONDS, **cell.row.service))
    return Setup(
        sandbox=sandbox,
        clock=clock,
        folder=folder,
        route=operation.route,
        times=None if cell.stays else operation.hits,
        after=0 if cell.stays else operation.after,
        stack=stack,
        options={"base_url": sandbox.base_url, "polling": _POLLING},
    )
