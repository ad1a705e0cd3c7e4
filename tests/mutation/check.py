"""Compares the outcome of a mutation run with the list of known survivors, and counts by module.

`python -m tests.mutation.check`, in the folder where mutmut ran. `--write` adds new survivors to the list, for a
reason to be given by hand, and drops those that are noticed by now. What was not tried is left as it is.
"""

from __future__ import annotations

import difflib
import json
import sys
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Final

from .survivors import LIST, Survivor, change_between, read, write

_MUTANTS: Final = Path("mutants")
_GOAL: Final = 90.0  # percent of the mutants of a room
_FATES: Final = {
    None: "not tried",
    0: "survived",
    1: "killed",
    3: "killed",  # pytest itself failed
    5: "survived",  # there was no test
    33: "survived",  # there was none for the whole function
    255: "unclear",  # pytest could not begin, or not end
}
"""What mutmut's exit codes mean; all others are those of a process that was ended."""


def outcomes() -> Iterator[tuple[Path, str, str]]:
    """Yield the mutated module, the name and the fate of each mutant."""
    for meta in sorted(_MUTANTS.rglob("*.py.meta")):
        for name, code in json.loads(meta.read_text("utf-8"))["exit_code_by_key"].items():
            yield meta.with_suffix(""), name, _FATES.get(code, "timed out")


def survivor_of(module: Path, name: str) -> Survivor:
    """Return what a mutant changes, in terms that outlast changes elsewhere in its function."""
    lines = module.read_text("utf-8").splitlines()
    spans = json.loads(module.with_suffix(".py.spans").read_text("utf-8"))["spans"]
    package, _, mutant = name.rpartition(".")
    mangled = mutant.rpartition("__mutmut_")[0]
    function = mangled.removeprefix("x").removeprefix("_").removeprefix("ǁ").replace("ǁ", ".")

    def version(of: str) -> list[str]:
        first, last = spans[of]
        return [line.strip().replace(of, function.rpartition(".")[2]) for line in lines[first - 1 : last]]

    differences = [*difflib.ndiff(version(f"{mangled}__mutmut_orig"), version(mutant))]
    before, after = (
        " ".join(line[2:] for line in differences if line.startswith(sign) and line[2:]) for sign in ("- ", "+ ")
    )
    return Survivor(f"{package}.{function}", change_between(before, after))


def room(module: Path) -> str:
    """Return what a module is a part of; rate and concurrency belong to the lanes."""
    if module.parent.name in {"loading", "polling"}:
        return module.parent.name
    return "lanes" if module.stem in {"rate", "concurrency"} else module.stem


def report(counts: Mapping[Path, Counter[str]], new: Collection[Survivor], gone: Collection[Survivor]) -> str:
    """Tell what came of it."""
    lines = []
    for module, fates in counts.items():
        lines.append(f"{share(fates):5.1f} % of {fates.total():4} {module.relative_to(_MUTANTS)}: {dict(fates)}")
    lines += [f"a survivor that is not listed: {survivor.function}: {survivor.change}" for survivor in sorted(new)]
    lines += [f"listed, but noticed by now: {survivor.function}: {survivor.change}" for survivor in sorted(gone)]
    return "\n".join(lines)


def share(fates: Counter[str]) -> float:
    """Return the percentage of mutants that were noticed, of those that were tried."""
    tried = fates.total() - fates["not tried"]
    return 100.0 * (fates["killed"] + fates["timed out"]) / tried if tried else 100.0


def main() -> str | None:
    """Compare, and say what is wrong, if anything is."""
    counts: dict[Path, Counter[str]] = defaultdict(Counter)
    found, untried = set[Survivor](), set[Survivor]()
    for module, name, fate in outcomes():
        counts[module][fate] += 1
        if fate == "survived":
            found.add(survivor_of(module, name))
        elif fate == "not tried":
            untried.add(survivor_of(module, name))
    known = read(LIST)
    new, gone = found - known.keys(), known.keys() - found - untried
    sys.stdout.write(report(counts, new, gone) + "\n")
    if "--write" in sys.argv[1:]:
        write(LIST, {survivor: known.get(survivor, "") for survivor in found | known.keys() - gone})
    rooms: dict[str, Counter[str]] = defaultdict(Counter)
    for module, fates in counts.items():
        rooms[room(module)] += fates
    poor = sorted(name for name, fates in rooms.items() if share(fates) < _GOAL)
    if poor:
        return f"less than {_GOAL:g} % of the mutants are killed in {', '.join(poor)}"
    return "a survivor is not listed" if new else None


if __name__ == "__main__":
    sys.exit(main())
