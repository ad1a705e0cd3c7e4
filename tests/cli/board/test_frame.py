"""The lines of a board for terminals of several sizes."""

from __future__ import annotations

from typing import Any

import pytest
from rich.cells import cell_len

from chamelaion_async.cli._ui.board.frame import Heading, frame
from chamelaion_async.cli._ui.board.rows import Row, Rows, Stage

UUID = "6f82a2d8-a6d4-4e8a-a0fa-e8b09823a2d8"
IDLE = Stage(name="queued", mark="\u25cb", plain_mark="o", style="dim", kind="idle")
ACTIVE = Stage(name="processing", mark="\u25b8", plain_mark=">", style="cyan", kind="active")
DONE = Stage(name="completed", mark="\u2713", plain_mark="+", style="green", kind="done", has_ended=True)
FAILED = Stage(name="failed", mark="\u2717", plain_mark="x", style="red", kind="problem", has_ended=True)
BAR = "\u2501\u2500"
STAGES = (IDLE, ACTIVE, DONE, FAILED)


def filled(count: int) -> Rows:
    """Rows of which one in three is queued, one is processing, one is completed, and every tenth failed."""
    rows = Rows((f"{number:08x}{UUID[8:]}" for number in range(count)), STAGES)
    for number, name in enumerate(rows):
        if number % 10 == 9:
            rows.put(name, Row(stage=FAILED, detail="video URL is not accessible: https://cdn.example.com/a.mp4"))
        elif number % 3 == 1:
            rows.put(name, Row(stage=ACTIVE, elapsed=60.0, remaining=40.0))
        elif number % 3 == 2:
            rows.put(name, Row(stage=DONE, detail="took 1:30, queued 12.0 s"))
    return rows


def shown(rows: Rows, *, width: int = 80, height: int = 24, **options: Any) -> list[str]:
    heading = options.pop("heading", Heading(elapsed=65.0, left=240.0, footer="214 requests, 3.2/s; rate open"))
    lines = frame(rows, heading, width=width, height=height, **options)
    return ["".join(part.text for part in line).rstrip() for line in lines]


def test_one_row_at_80_by_24() -> None:
    rows = Rows([UUID], STAGES)
    rows.put(UUID, Row(stage=ACTIVE, elapsed=60.0, remaining=40.0))
    assert shown(rows, heading=Heading(elapsed=65.0, left=40.0)) == [
        f"0 of 1 done {BAR[1] * 40} 1:05, about 40 s left",
        "\u25b8 1 processing",
        "",
        f"\u25b8 {UUID} processing  {BAR[0] * 6}{BAR[1] * 4} about 40 s left",
    ]


def test_thirty_rows_at_80_by_24_show_counts_problems_and_active_rows() -> None:
    lines = shown(filled(30), ascii_only=True)
    assert lines == [
        "12 of 30 done ################------------------------ 1:05, about 4 min left",
        "o 9 queued  > 9 processing  + 9 completed  x 3 failed",
        "214 requests, 3.2/s; rate open",
        "",
        *(f"x {number:08x}{UUID[8:]} failed      video URL is not accessible:~" for number in (9, 19, 29)),
        *(f"> {n:08x}{UUID[8:]} processing  ######---- about 40 s left" for n in (1, 4, 7, 10, 13, 16, 22, 25, 28)),
        *(f"o {number:08x}{UUID[8:]} queued" for number in (0, 3, 6, 12, 15, 18)),
        "  and 12 more: 3 queued, 9 completed",
    ]


def test_thirty_rows_at_120_by_40_keep_their_order() -> None:
    lines = shown(filled(30), width=120, height=40)
    assert [line.split()[1] for line in lines[4:]] == [*filled(30)]
    assert any(line.endswith("video URL is not accessible: https://cdn.example.com/a.mp4") for line in lines)


def test_three_hundred_rows_at_80_by_24_show_as_many_problems_as_active_rows() -> None:
    lines = shown(filled(300), ascii_only=True)
    assert lines[:2] == [
        "120 of 300 done ################------------------------ 1:05, about 4 min left",
        "o 90 queued  > 90 processing  + 90 completed  x 30 failed",
    ]
    assert [line[0] for line in lines[4:-1]] == [*"x" * 9, *">" * 9]
    assert lines[-1] == "  and 282 more: 90 queued, 81 processing, 90 completed, 21 failed"


@pytest.mark.parametrize("ascii_only", [False, True])
@pytest.mark.parametrize(("width", "height"), [(80, 24), (120, 40), (40, 10), (20, 5), (1, 2), (1, 1)])
@pytest.mark.parametrize("count", [0, 1, 30, 300])
def test_no_line_is_too_wide_and_none_too_many(count: int, width: int, height: int, ascii_only: bool) -> None:
    lines = shown(filled(count), width=width, height=height, ascii_only=ascii_only)
    assert len(lines) <= max(height - 1, 1)
    assert max(map(cell_len, lines)) <= width
    assert not ascii_only or "".join(lines).isascii()


def test_a_uuid_is_whole_at_80_columns_and_so_are_the_times_of_a_job() -> None:
    rows = Rows([UUID], STAGES)
    rows.put(UUID, Row(stage=DONE, detail="took 59:59, queued 59:59"))
    assert f"{UUID} completed   took 59:59, queued 59:59" in shown(rows)[-1]
    rows.put(UUID, Row(stage=ACTIVE, remaining=3300.0))
    assert shown(rows)[-1].endswith("about 55 min left")


def test_text_from_outside_is_escaped_and_measured_in_columns() -> None:
    names = ["\x1b[31m[b]id\r\x07\u202e\ud800", "\u540d\u524d" * 30]
    rows = Rows(names, STAGES)
    for name in names:
        rows.put(name, Row(stage=ACTIVE, status="\x1b[2J", detail="\x9b1m\n" * 20))
    lines = shown(rows)
    assert all(line.isprintable() and cell_len(line) <= 80 for line in lines)
    assert r"\x1b[31m[b]id\r\x07\u202e\ud800" in lines[4]
    assert cell_len(lines[4].partition(r"\x1b[2J")[0]) == cell_len(lines[5].partition(r"\x1b[2J")[0])


@pytest.mark.parametrize(
    ("ended", "full"), [(0, 0), (1, 0), (20, 2), (299, 39), (300, 40)], ids=["none", "one", "some", "one left", "all"]
)
def test_the_bar_is_full_when_all_have_ended(ended: int, full: int) -> None:
    rows = Rows(map(str, range(300)), STAGES)
    for number in range(ended):
        rows.put(str(number), Row(stage=DONE))
    first = shown(rows, ascii_only=True)[0]
    assert first.count("#") == full
    assert ("left" in first) == (ended < 300)


def test_counts_that_do_not_fit_stand_closer() -> None:
    assert (
        shown(filled(300), width=60, ascii_only=True)[1]
        == "o 90 queued  > 90 processing  + 90 completed  x 30 failed"
    )
    assert (
        shown(filled(300), width=55, ascii_only=True)[1] == "o 90 queued > 90 processing + 90 completed x 30 failed"
    )
