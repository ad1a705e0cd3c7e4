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
from .operations import OPERATIONS, Errors, Operation
from .row import Row
from .rules import NOTHING, RECOVERS
from .stage import IDS, KEY, OUTPUT, LoopClock, Stage
from .traces import Traces

_JOB_SECONDS: Final = 5.0
_POLLING: Final = PollPolicy(outage_budget=10.0, request_timeout=5.0)  # so that waits give up after a few polls
_PATIENCE: Final = 10.0  # seconds of real time for an operation, which takes a few hundredths of one
_AFTERWARDS: Final = 130.0  # seconds for a call once the fault is gone: a lane may be closed until then


@attrs.frozen(kw_only=True)
class Cell:
    """One fault, passing or staying, and one operation.

    Attributes:
        row: The fault.
        is_for_good: Whether it stays.
        operation: The operation.
        expected: ``RECOVERS`` or the name of an error.
    """

    row: Row
    is_for_good: bool
    operation: Operation
    expected: str

    @property
    def line(self) -> str:
        """The fault, and whether it stays."""
        return f"{self.row.chapter}: {self.row.name}, {'always' if self.is_for_good else 'once'}"

    @property
    def name(self) -> str:
        """The line, and the operation."""
        return f"{self.line}: {self.operation.title}"


def cells() -> Iterator[Cell]:
    """Yield every cell in which the fault can meet the operation."""
    for row in CATALOGUE:
        for is_for_good, rule in ((False, row.once), (True, row.always)):
            for operation in OPERATIONS:
                expected = rule.get(operation.key, NOTHING)
                if expected:
                    yield Cell(row=row, is_for_good=is_for_good, operation=operation, expected=expected)


async def play(cell: Cell, folder: Path) -> None:
    """Play a cell; whatever is not as expected is an AssertionError."""
    random.seed(cell.name)
    with Traces() as traces:
        async with AsyncExitStack() as stack:
            stage = await _set_stage(cell, folder, stack)
            await cell.row.strike(stage)
            if cell.operation.kind != "paid":
                _add_jobs(stage, 0.0 if cell.operation.kind == "file" else _JOB_SECONDS)
            stage.client = AsyncClient(KEY, **stage.options)
            stack.push_async_callback(_close, stage)
            for prepare in stage.before:
                await prepare()
            with traces.client_at_work():
                await _act(cell, stage, traces)
        left = await traces.rest()
        assert left == [], left


def _add_jobs(stage: Stage, seconds: float) -> None:
    for number, id in enumerate(IDS):
        stage.sandbox.add_job(id=id, reference_id=f"dub-{number}", job_seconds=seconds, output=OUTPUT)


async def _act(cell: Cell, stage: Stage, traces: Traces) -> None:
    errors = await _errors(cell.operation, stage)
    assert traces.tasks() == []
    _check_names(errors, cell.expected)
    error = errors[0] if errors else None
    assert KEY not in "".join(traceback.format_exception(error))
    if cell.operation.kind == "paid":
        _check_price(stage, error)
    if cell.operation.kind == "file":
        _check_disk(stage, error)
    if cell.row.is_injected or not cell.is_for_good:
        stage.sandbox.clear_faults()
        async with asyncio.timeout(_AFTERWARDS):
            await stage.client.users.me()


async def _errors(operation: Operation, stage: Stage) -> Errors:
    """Return the error that the operation ended with, or those of its outcomes."""
    try:
        with _patience():
            async with asyncio.timeout(operation.deadline + stage.slack):
                return await operation.run(stage)
    except ChamelaionError as error:
        return (error,)


@contextmanager
def _patience() -> Iterator[None]:
    """End what keeps the loop busy without a pause, for which time would never come to an end."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None
    timer = threading.Timer(_PATIENCE, lambda: loop.call_soon_threadsafe(task.cancel))
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


def _check_price(stage: Stage, error: ChamelaionError | None) -> None:
    """One submission never costs twice, and an error that does not leave it open means that it cost nothing."""
    jobs = len(stage.sandbox.jobs)
    if error is None:
        assert jobs == 1
    elif isinstance(error, (SubmissionUncertainError, ClientClosedError)):
        assert jobs <= 1
    else:
        assert jobs == 0


def _check_disk(stage: Stage, error: ChamelaionError | None) -> None:
    """Under its final name stands a whole file or none, and what else is left is what the error says."""
    file = stage.output_file
    left = sorted(path.name for path in stage.folder.iterdir())
    if error is None:
        assert file.read_bytes() == OUTPUT
        assert left == [file.name]
    elif ".part is kept" in str(error):
        assert left == [f"{file.name}.part", f"{file.name}.part.json"]
    else:
        assert left == []


async def _close(stage: Stage) -> None:
    if not stage.is_bound_elsewhere:
        await stage.client.aclose()


async def _set_stage(cell: Cell, folder: Path, stack: AsyncExitStack) -> Stage:
    operation, clock = cell.operation, LoopClock()
    sandbox = await stack.enter_async_context(Sandbox(clock=clock, job_seconds=_JOB_SECONDS, **cell.row.service))
    return Stage(
        sandbox=sandbox,
        clock=clock,
        folder=folder,
        route=operation.route,
        times=None if cell.is_for_good else operation.strikes,
        after=0 if cell.is_for_good else operation.after,
        stack=stack,
        options={"base_url": sandbox.base_url, "polling": _POLLING},
    )
