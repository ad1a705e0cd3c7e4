"""What one wait hears, and when."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from chamelaion_async import LipsyncRequest
from chamelaion_async.polling.state import Look, Sighting

if TYPE_CHECKING:
    from tests.polling.conftest import Service

pytestmark = pytest.mark.virtual_time


def sighting(id: str, status: str) -> Sighting[LipsyncRequest]:
    now = datetime.now(UTC)
    look = Look(server_time=now, at=asyncio.get_running_loop().time(), chance=0.5)
    return Sighting(LipsyncRequest(id=id, status=status, created_at=now), look)


async def test_news_in_the_same_moment_as_an_answer_are_not_lost(serve: type[Service]) -> None:
    service = serve(latency=5.0)
    (id,) = service.add(lasts=100.0)
    waiting = service.start(id)
    await asyncio.sleep(0.5)
    service.loader._hear([sighting(id, "processing"), sighting(id, "completed")])
    assert (await waiting).is_completed
    assert service.elapsed == pytest.approx(0.5)
