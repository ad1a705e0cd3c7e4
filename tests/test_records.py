"""Models as JSON: the API's names and forms, in one line."""

from __future__ import annotations

import inspect
import json
import pickle
import time
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import attrs
import pytest

from chamelaion_async import (
    Artifacts,
    GenerateAccepted,
    Health,
    LipsyncRequest,
    NotFoundError,
    Page,
    Pagination,
    RequestStatus,
    User,
    VideoTranslateRequest,
    Voice,
    models,
)
from chamelaion_async._base.record import Record
from chamelaion_async._http.decoding import structure_hook
from chamelaion_async.models import ErrorOutcome, RequestOutcome

CREATED = datetime(2026, 4, 7, 10, tzinfo=UTC)
LIPSYNC = {
    "id": "6f82a2d8",
    "status": "completed",
    "created_at": "2026-04-07T10:00:00Z",
    "reference_id": "dub-42",
    "started_at": "2026-04-07T10:00:01.250000Z",
    "finished_at": "2026-04-07T10:03:00Z",
    "error_message": None,
    "output_url": "https://cdn.example.com/out.mp4",
}
TRANSLATION = {
    **{name: value for name, value in LIPSYNC.items() if name != "output_url"},
    "target_languages": ["de", "fr"],
    "model": "expressive",
    "config": {"voices": [{"speed": 1.5}], "more": None},
    "disable_background_audio": False,
    "disable_lip_sync": True,
    "formality": False,
    "outputs": {"de": {"video": "https://v", "audio": "https://a", "srt": "https://s"}},
    "source_language": None,
    "webhook_url": None,
}
VOICE = {
    "voice_id": "v-1",
    "name": "Ada",
    "default_name": "Adelaide",
    "description": "A calm voice",
    "language": "en",
    "application": "narration",
    "gender": "Female",
    "is_favorite": True,
}
ANSWERS = [
    (LipsyncRequest, LIPSYNC),
    (LipsyncRequest, {**LIPSYNC, "status": "muxing"}),
    (VideoTranslateRequest, TRANSLATION),
    (GenerateAccepted, {"request_id": "6f82a2d8", "status": "success"}),
    (Page[LipsyncRequest], {"data": [LIPSYNC], "pagination": {"limit": 1, "offset": 2, "total": 30}}),
    (Page[LipsyncRequest], {"data": [], "pagination": {"limit": 1, "offset": 2, "total": 0}}),
    (Page[Voice], {"voices": [VOICE], "pagination": {"limit": 1, "offset": 2, "total": 30}}),
    (Page[Voice], {"voices": [], "pagination": {"limit": 1, "offset": 2, "total": 0}}),
    (User, {"name": "production-key"}),
    (Health, {"status": "ok"}),
]


def job(**fields: Any) -> LipsyncRequest:
    return LipsyncRequest(**{"id": "6f82a2d8", "status": "queued", "created_at": CREATED, **fields})


@pytest.mark.parametrize(("model", "answer"), ANSWERS, ids=lambda value: getattr(value, "__name__", ""))
def test_a_model_comes_out_as_the_api_sends_it(model: type[Any], answer: dict[str, Any]) -> None:
    made: Record = structure_hook(model)(answer)
    assert made.to_dict() == answer
    assert json.loads(made.to_json()) == answer


@pytest.mark.parametrize("model", [getattr(models, name) for name in models.__all__ if name != "RawResponse"])
def test_every_model_is_a_record(model: Any) -> None:
    if isinstance(model, type) and not issubclass(model, str):
        assert issubclass(model, Record)


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        (CREATED, "2026-04-07T10:00:00Z"),
        (CREATED.replace(tzinfo=None), "2026-04-07T10:00:00Z"),
        (CREATED.astimezone(timezone(timedelta(hours=2))), "2026-04-07T10:00:00Z"),
        (CREATED.replace(microsecond=5000), "2026-04-07T10:00:00.005000Z"),
    ],
)
def test_a_time_is_rfc_3339_in_utc(moment: datetime, text: str) -> None:
    assert job(created_at=moment).to_dict()["created_at"] == text


def test_a_time_without_a_zone_is_utc_wherever_the_machine_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        assert job(created_at=CREATED.replace(tzinfo=None)).to_dict()["created_at"] == "2026-04-07T10:00:00Z"
    finally:
        monkeypatch.undo()
        time.tzset()


def test_a_known_status_is_a_plain_string() -> None:
    status = job(status=RequestStatus.QUEUED).to_dict()["status"]
    assert (type(status), status) == (str, "queued")


def test_an_outcome_with_a_request_holds_its_dict() -> None:
    request = job()
    assert RequestOutcome(id="dub-42", request=request).to_dict() == {
        "id": "dub-42",
        "request": request.to_dict(),
        "error": None,
    }


def test_an_outcome_with_an_error_names_its_class_and_text() -> None:
    error = NotFoundError("no such job", status=404, message="no", headers={}, body=None, method="GET", path="/x")
    outcome = ErrorOutcome(id="dub-42", error=error)
    assert outcome.to_dict() == {
        "id": "dub-42",
        "request": None,
        "error": {"type": "NotFoundError", "message": "no such job"},
    }


def test_json_is_one_line_of_ascii() -> None:
    text = job(status="müxing\r\n\u2028\ud800", reference_id="字幕").to_json()
    assert text.isascii()
    assert text.splitlines() == [text]
    assert json.loads(text)["reference_id"] == "字幕"


def test_what_comes_out_may_be_changed_without_changing_the_model() -> None:
    outputs = {"de": Artifacts(video="v", audio="a", srt="s")}
    made = structure_hook(VideoTranslateRequest)(TRANSLATION)
    out = made.to_dict()
    out["config"]["voices"].clear()
    out["target_languages"].clear()
    out["outputs"]["de"]["video"] = "changed"
    assert made.to_dict() == TRANSLATION
    assert outputs["de"].to_dict() == {"video": "v", "audio": "a", "srt": "s"}


def test_what_is_nested_comes_out_as_json_has_it() -> None:
    config = {"at": CREATED, "voices": (job(), [RequestStatus.QUEUED]), "speed": 1.5}
    made = attrs.evolve(structure_hook(VideoTranslateRequest)(TRANSLATION), config=config)
    out = made.to_dict()["config"]
    assert out == {"at": "2026-04-07T10:00:00Z", "voices": [job().to_dict(), ["queued"]], "speed": 1.5}
    assert type(out["voices"][1][0]) is str


@pytest.mark.parametrize(("record", "key"), [(job(), "data"), (structure_hook(Voice)(VOICE), "voices")])
def test_a_page_made_by_hand_has_its_records_where_the_api_has_them(record: Any, key: str) -> None:
    page = Page(data=[record], pagination=Pagination(limit=1, offset=0, total=1))
    assert page.to_dict() == {key: [record.to_dict()], "pagination": {"limit": 1, "offset": 0, "total": 1}}


def test_pages_are_equal_whatever_they_were_made_by() -> None:
    read = structure_hook(Page[Voice])({"voices": [], "pagination": {"limit": 1, "offset": 2, "total": 0}})
    made = Page[Voice](data=[], pagination=Pagination(limit=1, offset=2, total=0))
    assert read == made
    assert repr(read) == repr(made)
    assert pickle.loads(pickle.dumps(read)).to_dict()["voices"] == read.to_dict()["voices"] == []
    assert [*inspect.signature(Page).parameters] == ["data", "pagination"]
