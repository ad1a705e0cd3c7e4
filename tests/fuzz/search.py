"""The search for inputs that break a target: mutants by chance, or led by the code that they cover."""

from __future__ import annotations

import hashlib
import os
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from contextlib import nullcontext
from importlib import import_module
from pathlib import Path
from random import Random
from typing import Any

import attrs

from .mutation import MAX_SIZE, edited, mutant
from .target import Target

_MAX_KINDS = 20
_SLOW = 5.0
"""Seconds of processor time; no target takes a tenth of a second for ``MAX_SIZE`` bytes."""


@attrs.frozen
class Piece:
    """What one process does of the whole.

    Attributes:
        target: Name of the target.
        engine: "chance" or "atheris".
        count: How many inputs to try.
        seed: Where chance begins.
    """

    target: str
    engine: str
    count: int
    seed: int

    def load(self) -> Target:
        """Import the target so that this engine can drive it; every other piece does without orjson."""
        if self.seed % 2:
            sys.modules["orjson"] = None  # type: ignore[assignment] # what import takes for "not installed"
        watched: Any = nullcontext()
        if self.engine == "atheris":
            watched = import_module("atheris").instrument_imports(include=["chamelaion_async"])
        with watched:
            target: Target = import_module(".targets", __package__).TARGETS[self.target]
        return target


@attrs.define(kw_only=True)
class Search:
    """The inputs tried, and those that break the property.

    Attributes:
        target: What is tried.
        folder: Where inputs are written that break the property, the first of each kind.
        count: How many inputs to try.
        ends: When to stop at the latest, as a time of the system.
        tell: Is called at the end.
        runs: How many inputs were tried.
        finds: What became of the inputs in files.
    """

    target: Target
    folder: Path
    count: int
    ends: float
    tell: Callable[[int, dict[str, str]], None]
    runs: int = 0
    finds: dict[str, str] = attrs.field(factory=dict)
    _kinds: set[object] = attrs.field(factory=set)

    def attempt(self, data: bytes) -> bool:
        """Try one input, and say whether to go on."""
        self.runs += 1
        began = time.process_time()
        try:
            self.target.check(data)
        except Exception as error:  # noqa: BLE001 - whatever it is, it was not promised
            place = traceback.extract_tb(error.__traceback__)[-1]
            reason = f"{type(error).__name__}: {error}"[:200]
            self._keep(data, (type(error), place.filename, place.lineno), f"{reason} ({place.name}:{place.lineno})")
        else:
            seconds = time.process_time() - began
            if seconds > _SLOW:
                self._keep(data, "slow", f"{len(data)} bytes took {seconds:.1f} s")
        if self.runs < self.count and time.time() < self.ends:
            return True
        self.tell(self.runs, self.finds)
        return False

    def _keep(self, data: bytes, kind: object, reason: str) -> None:
        if kind in self._kinds or len(self._kinds) == _MAX_KINDS:
            return
        self._kinds.add(kind)
        self.folder.mkdir(parents=True, exist_ok=True)
        file = self.folder / f"{self.target.name}-{hashlib.sha256(data).hexdigest()[:12]}"
        file.write_bytes(data)
        self.finds[str(file)] = reason

    def by_chance(self, seed: int) -> None:
        """Try mutants."""
        random = Random(seed)
        while self.attempt(mutant(random, self.target)):
            pass

    def by_coverage(self, seed: int) -> None:
        """Let atheris choose what to edit further: inputs that reach code which none before has reached.

        It does not return: libFuzzer takes the process over.
        """
        atheris: Any = import_module("atheris")
        corpus = tempfile.mkdtemp(prefix="fuzz-")
        for number, data in enumerate(self.target.seeds):
            Path(corpus, str(number)).write_bytes(data)

        def attempt(data: bytes) -> None:
            if not self.attempt(data):
                os._exit(0)

        def mutated(data: bytes, max_size: int, number: int) -> bytes:
            random = Random(number)
            if random.randrange(4):
                return edited(random, data, self.target)[:max_size]
            return bytes(atheris.Mutate(data, max_size))

        self.folder.mkdir(parents=True, exist_ok=True)
        prefix = f"-artifact_prefix={self.folder / self.target.name}-"  # for an input that ends the process
        options = [f"-seed={seed + 1}", f"-max_len={MAX_SIZE}", "-verbosity=0", "-rss_limit_mb=0", prefix, corpus]
        atheris.Setup([sys.argv[0], *options], attempt, custom_mutator=mutated)
        atheris.Fuzz()
