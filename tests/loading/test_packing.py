"""Requests packed into plain tuples."""

from __future__ import annotations

import gc
from datetime import UTC, datetime
from typing import Any

import attrs
import pytest

from chamelaion_async import LipsyncRequest, VideoTranslateRequest
from chamelaion_async.loading.packing import created_at_of, pack, reference_of, started_at_of, unpack
from chamelaion_async.models import Job

NOON = datetime(2026, 4, 7, 12, tzinfo=UTC)
LIPSYNC = LipsyncRequest(id="id", status="queued", created_at=NOON, reference_id="dub-1", error_message="a b")
TRANSLATION = VideoTranslateRequest(
    id="id",
    status="processing",
    created_at=NOON,
    reference_id="dub-2",
    target_languages=["de", "fr"],
    model="classic",
    config={"speakers": 2},
    disable_background_audio=True,
    disable_lip_sync=False,
    formality=True,
    started_at=NOON,
)


@pytest.mark.parametrize("request_", [LIPSYNC, TRANSLATION])
def test_an_unpacked_request_is_equal_to_the_packed_one(request_: Job) -> None:
    packed = pack(request_)
    assert unpack(packed) == request_
    assert reference_of(packed) == request_.reference_id
    assert (created_at_of(packed), started_at_of(packed)) == (request_.created_at, request_.started_at)


@pytest.mark.parametrize("request_", [LIPSYNC, TRANSLATION])
def test_packed_requests_are_equal_if_the_requests_are(request_: Job) -> None:
    assert pack(attrs.evolve(request_)) == pack(request_)
    for field in attrs.fields(type(request_)):
        change: dict[str, Any] = {field.name: "other"}
        assert pack(attrs.evolve(request_, **change)) != pack(request_)


def test_the_garbage_collector_skips_a_packed_request() -> None:
    packed = pack(LIPSYNC)
    gc.collect()
    assert not gc.is_tracked(packed)
