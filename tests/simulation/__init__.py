"""Random worlds of a service and its callers, played on virtual time and checked: ``python -m tests.simulation``.

    draw(kind, seed) ──► World ──► play(world) ──► Trace ──► violations(world, trace)   invariants 1 to 10, "s"
                           │                         │
                           │                         └────► worse_than_alone(world, …)  invariant 11
                           ├──► play_alone(worse world, each wait by itself) ──┘
                           │
                           └──► shrink(world, still_fails) ──► a smaller World that violates the same

A *world* (``world``) is plain values: jobs, calls, faults, limits, and the settings of client, list and loop.
``draw`` makes one from its kind and seed; ``known`` holds those that once failed. It is *played* (``play``) with a
real client on a loop whose time jumps (``loop``), against a service that goes by the world alone (``service``). What
was seen is a *trace*. It is *checked* twice: by itself (``invariants``), and against the same waits played alone with
GETs only (``dominance``), in both cases within times that ``allowance`` works out. A world that fails is *shrunk*:
jobs, calls and faults are left out and settings go back to their defaults, as long as the same invariant is violated.
What is left is printed as an expression that plays it again: ``check(World(...))``.
"""

import sys
from pathlib import Path

# Where this package is started from its folder, beside an installed client, ``tests.support`` is found last.
sys.path.append(str(Path(__file__).parents[2]))
