"""Work on very many items, a slice in each turn of the loop."""

from __future__ import annotations

import asyncio

import pytest

from chamelaion_async.loading.slices import SLICE, in_slices


@pytest.mark.parametrize(
    ("count", "slices"), [(0, []), (1, [1]), (SLICE, [SLICE]), (2 * SLICE + 1, [SLICE, SLICE, 1])]
)
async def test_each_turn_of_the_loop_handles_a_slice(count: int, slices: list[int]) -> None:
    handled: list[int] = []
    seen: list[int] = []
    in_slices(range(count), handled.append)
    while len(handled) > sum(seen):
        seen.append(len(handled) - sum(seen))
        await asyncio.sleep(0)
    assert (seen, handled) == (slices, list(range(count)))
