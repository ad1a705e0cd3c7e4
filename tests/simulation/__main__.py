"""Plays random worlds and prints what they violate: ``python -m tests.simulation --seeds 0 10000``.

Each seed that fails is printed with its world, made as small as it goes. It can be played again: with ``--kind`` and
``--seeds``, or from the text itself with ``check(World(...))``.
"""

from __future__ import annotations

import argparse
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from multiprocessing import get_context
from typing import Final, NamedTuple

from .check import check
from .draw import KINDS, draw
from .loop import StuckError
from .shrink import shrink
from .world import World, describe

_SLICE: Final = 25
_SUBMITTED: Final = ("returned a job that", "and started", "as if no job")
_STUCK: Final = 60  # seconds of processor time after which a world is given up


class Failure(NamedTuple):
    """A seed that violates something."""

    kind: str
    seed: int
    numbers: tuple[str, ...]
    texts: tuple[str, ...]
    at: float


class _Options(NamedTuple):
    kind: str
    seeds: range


def failures_of(options: _Options) -> list[Failure]:
    """Play some seeds of a kind."""
    return [failure for seed in options.seeds if (failure := failure_of(options.kind, seed)) is not None]


def failure_of(kind: str, seed: int) -> Failure | None:
    """Play a seed."""
    texts = _checked(draw(kind, seed))
    if not texts:
        return None
    numbers = tuple(sorted({number for number, _ in texts}))
    return Failure(kind, seed, numbers, tuple(text for _, text in texts), time.time())


def _checked(world: World) -> list[tuple[str, str]]:
    """Check a world, and end a step of it that returns neither to the loop nor reads its clock."""

    def stuck(*_: object) -> None:
        raise StuckError(f"no end after {_STUCK} s of processor time")

    previous = signal.signal(signal.SIGVTALRM, stuck)
    signal.setitimer(signal.ITIMER_VIRTUAL, _STUCK)
    try:
        return [(violation.number, str(violation)) for violation in check(world)]
    except StuckError as error:
        return [("3", f"(3) {error}")]
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0.0)
        signal.signal(signal.SIGVTALRM, previous)


def report(failure: Failure, seconds: float) -> str:
    """Return a failure in words, with as small a world as some seconds of real time make it."""
    number = "11" if "11" in failure.numbers else failure.numbers[0]
    first = next((text for text in failure.texts if text.startswith(f"({number})")), "")
    # A submission may shrink to another violation, of a world in which no client could do better.
    words = next((words for words in _SUBMITTED if words in first), "")

    def still_fails(world: World) -> bool:
        return any(found == number and words in text for found, text in _checked(world))

    world = draw(failure.kind, failure.seed)
    lines = [f"--- {failure.kind} {failure.seed} violates {', '.join(failure.numbers)}"]
    lines += [f"  in full: {text}" for text in failure.texts[:3]]
    if seconds:
        world = shrink(world, still_fails, seconds=seconds)
        lines += [f"  shrunk:  {text}" for _, text in _checked(world)[:5]]
    return "\n".join([*lines, describe(world)])


def _slices(kind: str, first: int, last: int) -> Iterator[_Options]:
    for begin in range(first, last, _SLICE):
        yield _Options(kind, range(begin, min(begin + _SLICE, last)))


def run(kinds: Sequence[str], first: int, last: int, processes: int, shown: int, seconds: float) -> int:
    """Play the seeds of the kinds, and return how many of them failed."""
    total = 0
    with get_context("fork").Pool(processes) as pool:
        for kind in kinds:
            began = time.monotonic()
            played, failures = 0, list[Failure]()
            counts: Counter[str] = Counter()
            for found in pool.imap_unordered(failures_of, _slices(kind, first, last)):
                played = min(played + _SLICE, last - first)
                failures += found
                counts.update(number for failure in found for number in failure.numbers)
                took = time.monotonic() - began
                line = f"{played} of {last - first} worlds, {len(failures)} fail, {played / took:.0f} a second"
                print(f"\r{kind}: {line}", end="", file=sys.stderr, flush=True)
            took = time.monotonic() - began
            print(file=sys.stderr)
            which = "".join(f", {count} x ({number})" for number, count in sorted(counts.items()))
            print(f"{kind}: {last - first} worlds in {took:.0f} s, {len(failures)} fail{which}", flush=True)
            failures.sort(key=lambda failure: failure.seed)
            if len(failures) > shown:
                print(f"  seeds: {' '.join(str(failure.seed) for failure in failures[:200])}")
            for failure in failures[:shown]:
                print(report(failure, seconds), flush=True)
            total += len(failures)
    return total


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--kind", action="append", choices=[*KINDS], help="one kind, or several; all if left out")
    parser.add_argument("--seeds", nargs=2, type=int, default=(0, 1000), metavar=("FIRST", "BEYOND"))
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--shown", type=int, default=5, help="failing seeds of each kind that are shrink and printed")
    parser.add_argument("--shrink", type=float, default=20.0, help="seconds to shrink each of them; 0 for not at all")
    options = parser.parse_args()
    first, last = options.seeds
    failed = run(options.kind or [*KINDS], first, last, options.processes, options.shown, options.shrink)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
