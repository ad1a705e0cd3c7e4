"""Rows by name, counted by stage."""

from __future__ import annotations

from typing import Any

import pytest

from chamelaion_async.cli._ui.board import Row, Rows, Stage

LOOKS: dict[str, Any] = {"mark": "*", "plain_mark": "*", "style": "dim"}
IDLE = Stage(name="idle", kind="idle", **LOOKS)
ACTIVE = Stage(name="active", kind="active", **LOOKS)
DONE = Stage(name="done", kind="done", has_ended=True, **LOOKS)
FAILED = Stage(name="failed", kind="problem", has_ended=True, **LOOKS)
LATE = Stage(name="late", kind="problem", **LOOKS)
STAGES = (IDLE, ACTIVE, DONE, FAILED, LATE)
LETTERS = {"i": IDLE, "a": ACTIVE, "d": DONE, "f": FAILED, "l": LATE}


def rows(kinds: str) -> Rows:
    """Rows whose names begin with the letters of their stages."""
    names = [f"{letter}{number}" for number, letter in enumerate(kinds)]
    made = Rows(names, STAGES)
    for name in names:
        made.put(name, Row(stage=LETTERS[name[0]]))
    return made


def test_each_name_is_counted_in_its_present_stage_only() -> None:
    made = Rows(["a", "b", "c"], STAGES)
    for stage in (ACTIVE, DONE, ACTIVE):
        made.put("b", Row(stage=stage))
    made.put("d", Row(stage=FAILED))
    made.put("d", Row(stage=FAILED, detail="again"))
    assert made.counts == {IDLE: 2, ACTIVE: 1, DONE: 0, FAILED: 1, LATE: 0}
    assert [*made] == ["a", "b", "c", "d"]
    assert made["d"].detail == "again"


def test_only_stages_that_have_ended_count_as_ended() -> None:
    assert rows("iadfl").ended == 2


@pytest.mark.parametrize(
    ("kinds", "room", "shown"),
    [
        pytest.param("iadf", 4, "i0 a1 d2 f3", id="all have room and keep their order"),
        pytest.param("iiadf", 4, "f4 a2 i0 i1", id="problems, active rows, idle rows"),
        pytest.param("iiiaaa", 4, "a3 a4 a5 i0", id="the oldest of those that are open"),
        pytest.param("iidda", 4, "a4 i0 i1 d3", id="the newest of those that are done"),
        pytest.param("lfaaa", 4, "f1 l0 a2 a3", id="the first stage of problems comes first"),
        pytest.param("ffffaaaa", 4, "f2 f3 a4 a5", id="problems take half"),
        pytest.param("ffffaaaa", 5, "f1 f2 f3 a4 a5", id="or one more of an odd number"),
        pytest.param("ffffai", 4, "f1 f2 f3 a4", id="and what active rows leave"),
        pytest.param("ffffff", 4, "f2 f3 f4 f5", id="problems only"),
        pytest.param("fai", 0, "", id="no room"),
    ],
)
def test_problems_and_active_rows_are_shown_first(kinds: str, room: int, shown: str) -> None:
    assert rows(kinds).shown(room) == shown.split()
