"""The table that ``list`` and ``voices`` print on a terminal."""

from __future__ import annotations

import pytest

from chamelaion_async import Voice
from chamelaion_async.cli._ui.terminal_table import print_table
from chamelaion_async.cli.voices import _COLUMNS

ID = "00000000-0000-0000-0000-000000000000"


def voice(name: str) -> Voice:
    return Voice(
        voice_id=ID,
        name=name,
        default_name=name,
        language="en",
        gender="Female",
        application="narration",
        is_favorite=False,
        description="Warm and slow",
    )


@pytest.mark.parametrize(
    ("width", "name", "lines"),
    [
        (120, "Ada", [f"{ID}  Ada   en        Female  narration    -         Warm and slow"]),
        (90, "Ada", [f"{ID}  Ada   en        Female  narration    -", "  Warm and slow"]),
        (80, "Ada", [f"{ID}  Ada   en        Female  -", "  narration: Warm and slow"]),
        (80, "Ada, a reader", [f"{ID}  Ada, a reader  en        Female  -", "  narration: Warm and slow"]),
        (
            80,
            "Ada, who narrates",
            [f"{ID}  en        Female  -", "  Ada, who narrates: narration: Warm and slow"],
        ),
        (20, "Ada", [f"{ID}  en        Female  -", "  Ada: narration: Warm and slow"]),
    ],
)
def test_columns_go_below_the_line_from_the_last_on_as_far_as_necessary(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, width: int, name: str, lines: list[str]
) -> None:
    monkeypatch.setenv("COLUMNS", f"{width}")
    print_table(_COLUMNS, [voice(name)], note=lambda _: "")
    assert capsys.readouterr().out.splitlines()[1:] == lines
