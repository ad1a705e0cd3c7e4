"""What a client refers to, found by following the objects of the package alone."""

from __future__ import annotations

import functools
import gc
import types
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Collection
from typing import Any, Final

from chamelaion_async import Durations

_CONTAINERS: Final = (dict, list, set, frozenset, tuple, deque, OrderedDict, defaultdict)
_PACKAGE: Final = "chamelaion_async"
# Durations remember a bounded number of ids, so that no job counts twice.
_ENDS: Final = (type, types.ModuleType, types.CodeType, types.FrameType, Durations)


def places_of_names(root: object, names: Collection[str]) -> Counter[str]:
    """Return in how many places the objects of the package that ``root`` reaches hold each of ``names``."""
    found: Counter[str] = Counter()
    seen: set[int] = set()
    stack: list[Any] = [root]
    while stack:
        thing = stack.pop()
        if isinstance(thing, str):
            if thing in names:
                found[thing] += 1
            continue
        if id(thing) in seen or isinstance(thing, _ENDS):
            continue
        seen.add(id(thing))
        if isinstance(thing, types.FunctionType):
            stack.extend(cell.cell_contents for cell in thing.__closure__ or () if _has_contents(cell))
        elif isinstance(thing, (types.MethodType, *_CONTAINERS)) or _is_ours(thing):
            stack.extend(gc.get_referents(thing))
    return found


def _is_ours(thing: object) -> bool:
    kind = type(thing)
    return kind.__module__.startswith(_PACKAGE) or isinstance(
        thing, (functools.partial, functools._lru_cache_wrapper)
    )


def _has_contents(cell: types.CellType) -> bool:
    try:
        _ = cell.cell_contents
    except ValueError:
        return False
    return True
