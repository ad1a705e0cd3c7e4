"""The service's health and the identity behind the credentials."""

from __future__ import annotations

from .._http.call import Call
from .._http.transport import Transport
from ..models import Health, User

__all__ = ["HealthResource", "UsersResource"]


class HealthResource:
    """Whether the service runs."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def check(self) -> Health:
        """Read whether the service runs (``GET /health``). Needs no credentials and sends none.

        Returns:
            The state of the service; its ``status`` is ``ok`` while it runs.

        Raises:
            ChamelaionError: It could not be reached, or answered with an error.
        """
        health, _ = await self._transport.fetch(Call(method="GET", path="/health", authenticated=False), Health)
        return health


class UsersResource:
    """The identity behind the credentials."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def me(self) -> User:
        """Read whose the credentials are (``GET /v1/users/me``).

        Returns:
            The identity, with the display name of the API token.

        Raises:
            AuthenticationError: The credentials are not accepted.
            ChamelaionError: Any other failure of the call.
        """
        user, _ = await self._transport.fetch(Call(method="GET", path="/v1/users/me"), User)
        return user
