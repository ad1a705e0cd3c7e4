"""The long form: a million bodies and more, on all cores.

``--bodies`` counts what is read as the body of an answer, successful or not; the other targets get inputs on top.
All are edited seeds. With ``--atheris``, a tenth of the bodies is chosen by the code that those before have reached;
that takes some ten times as long for each.
The exit code is 1 if an input broke a property, or a process broke down.
"""

from __future__ import annotations

import argparse
import math
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from importlib.util import find_spec
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path

from .search import Piece, Search

_BODIES = {"decoding": 0.75, "failures": 0.25}
_OTHERS = {"addresses": 0.2, "ranges": 0.2, "retry-after": 0.2, "downloads": 0.002}
"""How many inputs each target gets, as a part of the bodies. Downloads go over sockets, a hundred times slower."""

_PIECE = 50_000

Result = tuple[int, dict[str, str]]


def plan(bodies: int, seed: int, *, with_atheris: bool) -> list[Piece]:
    """Divide the whole into pieces."""
    counts = {(target, "chance"): max(round(bodies * share), 1) for target, share in _OTHERS.items()}
    decoding = round(bodies * _BODIES["decoding"])
    for target, count in (("decoding", decoding), ("failures", bodies - decoding)):
        led = count // 10 if with_atheris else 0
        counts |= {(target, "atheris"): led, (target, "chance"): count - led}
    sizes = [
        (*kind, min(_PIECE, count - begin)) for kind, count in counts.items() for begin in range(0, count, _PIECE)
    ]
    return [Piece(*what, seed + number) for number, what in enumerate(sizes)]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program and return its exit code."""
    options = _parser().parse_args(arguments)
    if options.again is not None:
        from .targets import TARGETS  # not sooner: a process that is led by coverage has to see it imported

        TARGETS[options.again.name.rpartition("-")[0]].check(options.again.read_bytes())
        _say(f"{options.again} breaks nothing")
        return 0
    with_atheris = options.atheris and find_spec("atheris") is not None
    if options.atheris and not with_atheris:
        _say("atheris is not installed, for which not every Python and platform has a wheel: chance does it all")
    began, ends = time.monotonic(), time.time() + options.seconds
    counts, finds, broken = Counter[str](), dict[str, str](), 0
    with ThreadPoolExecutor(options.jobs) as pool, tempfile.TemporaryDirectory(prefix="fuzz-") as scratch:
        # What a process leaves behind lies in a folder that is not its own: one that breaks down cannot tidy up.
        os.environ["TMPDIR"] = scratch
        pieces = plan(options.bodies, options.seed, with_atheris=with_atheris)
        running = {pool.submit(_done, piece, options.finds, ends): piece for piece in pieces}
        for future in as_completed(running):
            piece = running[future]
            try:
                runs, found = future.result()
            except EOFError:
                broken += 1
                _say(f"BROKEN DOWN: {piece}")
                continue
            for file in set(found) - set(finds):
                _say(f"FOUND {file}: {found[file]}")
            finds |= found
            counts[piece.target] += runs
            _say("  ".join(f"{target} {count:,}" for target, count in counts.items()))
    bodies, seconds = sum(counts[target] for target in _BODIES), time.monotonic() - began
    _say(
        f"{bodies:,} bodies and {counts.total() - bodies:,} other inputs in {seconds:.0f} s, "
        f"{counts.total() / seconds:,.0f} a second: {len(finds)} finds, {broken} processes broken down"
    )
    return 1 if finds or broken else 0


def _done(piece: Piece, folder: Path, ends: float) -> Result:
    """Do a piece in a process of its own, which an input may bring down with it."""
    context = get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_work, args=(piece, folder, ends, theirs))
    process.start()
    theirs.close()
    try:
        result: Result = ours.recv()
    finally:
        process.join()
    return result


def _work(piece: Piece, folder: Path, ends: float, pipe: Connection) -> None:
    def tell(runs: int, finds: dict[str, str]) -> None:
        pipe.send((runs, finds))

    search = Search(target=piece.load(), folder=folder, count=piece.count, ends=ends, tell=tell)
    (search.by_coverage if piece.engine == "atheris" else search.by_chance)(piece.seed)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bodies", type=int, default=1_000_000, help="how many (default: a million)")
    parser.add_argument("--seconds", type=float, default=math.inf, help="stop after that time, if not done before")
    parser.add_argument("--seed", type=int, default=0, help="where chance begins (default: 0)")
    parser.add_argument("--atheris", action="store_true", help="let coverage choose a tenth of the bodies")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes (default: all cores)")
    parser.add_argument("--finds", type=Path, default=Path("build", "fuzz"), help="folder for inputs that break")
    parser.add_argument("--again", type=Path, metavar="FILE", help="try an input that was found once more")
    return parser


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
