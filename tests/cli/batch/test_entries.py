"""Steps of a journal, folded into entries."""

from __future__ import annotations

from typing import Any

import pytest

from chamelaion_async.cli._batch.entries import Entry, Step, fold

BEGIN = {"reference_id": "r", "step": "submitting", "content": {"video": "v"}, "family": "lipsync", "line": 2}


def entry(step: Step, **details: Any) -> Entry:
    return Entry(reference_id="r", content={"video": "v"}, family="lipsync", step=step, **details)


@pytest.mark.parametrize(
    ("steps", "expected", "is_submitted"),
    [
        ([], entry(Step.SUBMITTING), False),
        ([{"step": "refused", "error": "no"}], entry(Step.REFUSED, error="no"), False),
        ([{"step": "accepted", "request_id": "u"}], entry(Step.ACCEPTED, request_id="u"), True),
        (
            [{"step": "accepted", "request_id": "u"}, {"step": "failed", "error": "e", "seconds": 2.0}],
            entry(Step.FAILED, request_id="u", error="e", seconds=2.0),
            True,
        ),
        (
            [{"step": "accepted", "request_id": "u"}, {"step": "completed", "path": "p"}, {"step": "saved"}],
            entry(Step.SAVED, request_id="u", path="p"),
            True,
        ),
        ([{"step": "refused", "error": "no"}, BEGIN], entry(Step.SUBMITTING), False),
    ],
)
def test_the_last_step_counts_and_details_stay(
    steps: list[dict[str, Any]], expected: Entry, is_submitted: bool
) -> None:
    folded = fold([BEGIN, *({"reference_id": "r", **step} for step in steps)])
    assert folded == {"r": expected}
    assert folded["r"].is_submitted is is_submitted


@pytest.mark.parametrize(
    "steps",
    [
        [{"reference_id": "r", "step": "accepted"}],
        [{"reference_id": "r", "step": "dancing"}],
        [{"step": "submitting"}],
        [{"reference_id": "r", "step": "submitting"}],
    ],
)
def test_what_is_no_step_raises(steps: list[dict[str, Any]]) -> None:
    with pytest.raises((KeyError, ValueError)):
        fold(steps)
