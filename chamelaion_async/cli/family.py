"""The two kinds of jobs, as the command line tells them apart."""

from __future__ import annotations

from typing import Literal, Protocol, TypeVar

from ..client import AsyncClient
from ..models import Job, LipsyncRequest, OnUpdate, VideoTranslateRequest

__all__ = ["Family", "Requests", "family_option", "requests_of"]

Family = Literal["lipsync", "translate"]

J_co = TypeVar("J_co", bound=Job, covariant=True)


class Requests(Protocol[J_co]):
    """The requests of one family, as far as a command needs them."""

    async def get(self, id: str) -> J_co:
        """Read one request."""

    async def wait_until_finished(
        self, id: str, *, timeout: float | None = ..., on_update: OnUpdate[Job] | None = ...
    ) -> J_co:
        """Wait for one request."""


def requests_of(client: AsyncClient, family: Family) -> Requests[LipsyncRequest | VideoTranslateRequest]:
    """Return the requests of a family."""
    return client.lipsync.requests if family == "lipsync" else client.video_translate.requests


def family_option(family: Family) -> dict[str, str]:
    """Return what a command line needs for a family: nothing for the default."""
    return {} if family == "lipsync" else {"family": family}
