"""Requests packed into plain tuples."""

from __future__ import annotations

import gc
from datetime import UTC, datetime
from typing import Any

import attrs
import pytest

from chamelaion_async import LipsyncRequest, VideoTranslateRequest
from chamelaion_async.loading.packing import Packer
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
def test_what_is_unpacked_is_equal(request_: Job) -> None:
    packer = Packer(type(request_))
    assert packer.unpack(packer.pack(request_)) == request_
    packed = packer.pack(request_)
    assert packer.reference_of(packed) == request_.reference_id
    assert (packer.created_at_of(packed), packer.started_at_of(packed)) == (request_.created_at, request_.started_at)


@pytest.mark.parametrize("request_", [LIPSYNC, TRANSLATION])
def test_packed_ones_are_equal_if_the_requests_are(request_: Job) -> None:
    packer = Packer(type(request_))
    assert packer.pack(attrs.evolve(request_)) == packer.pack(request_)
    for field in attrs.fields(type(request_)):
        change: dict[str, Any] = {field.name: "other"}
        assert packer.pack(attrs.evolve(request_, **change)) != packer.pack(request_)


def test_the_garbage_collector_leaves_a_packed_request_out() -> None:
    packed = Packer(LipsyncRequest).pack(LIPSYNC)
    gc.collect()
    assert not gc.is_tracked(packed)
