"""The options that every command on the service has in common."""

from __future__ import annotations

import os
from typing import Annotated, Literal
from urllib.parse import urlsplit

import attrs
from cyclopts import Parameter
from cyclopts.validators import Number

from .._http.addresses import is_loopback
from ..client import AsyncClient
from ..errors import ConfigurationError

__all__ = ["AttemptTimeout", "Flag", "Service", "WaitTimeout"]

Flag = Annotated[bool, Parameter(negative="", show_default=False)]
AttemptTimeout = Annotated[float, Parameter(validator=Number(gt=0))]
WaitTimeout = Annotated[float, Parameter(validator=Number(gte=0))]


@Parameter(name="*")
@attrs.frozen(kw_only=True)
class Service:
    """Which service to call, and with which credentials.

    Attributes:
        api_key: API key. Better set CHAMELAION_API_KEY: other users of a machine can read command lines.
        bearer_token: Bearer token, instead of or along with a key. Better set CHAMELAION_BEARER_TOKEN.
        environment: Service to call. Default: production.
        base_url: Where the API lies, instead of an environment, such as a sandbox's first line. Default:
            CHAMELAION_BASE_URL.
        allow_http: Permit plain http to another machine; the key then travels in the clear.
        proxy: Address of an http proxy for all calls and downloads. Default: HTTPS_PROXY or HTTP_PROXY, except for
            the hosts in NO_PROXY and for a service on this machine.
    """

    api_key: Annotated[str | None, Parameter(show_default=False)] = attrs.field(default=None, repr=False)
    bearer_token: Annotated[str | None, Parameter(show_default=False)] = attrs.field(default=None, repr=False)
    environment: Literal["production", "staging"] | None = None
    base_url: str | None = None
    allow_http: Flag = False
    proxy: Annotated[str | None, Parameter(show_default=False)] = attrs.field(default=None, repr=False)

    def repeated(self) -> dict[str, str | bool | None]:
        """Return what a later command needs to reach the same service, as options; without keys and passwords."""
        return {
            "environment": self.environment,
            "base_url": self.base_url,
            "allow_http": self.allow_http,
            "proxy": None if self.proxy is None or "@" in self.proxy else self.proxy,
        }

    def client(self, *, timeout: float = 60.0, needs_key: bool = True) -> AsyncClient:
        """Return a client with these options.

        Args:
            timeout: Seconds for one attempt of a call.
            needs_key: Whether to refuse at once if there are no credentials.

        Raises:
            ConfigurationError: There are none, or an option cannot work.
        """
        variables = ("CHAMELAION_API_KEY", "CHAMELAION_BEARER_TOKEN")
        given = self.api_key is not None or self.bearer_token is not None
        if needs_key and not given and not any(os.environ.get(name, "").strip() for name in variables):
            raise ConfigurationError("no API key; set CHAMELAION_API_KEY (a sandbox takes any value)")
        return AsyncClient(
            self.api_key,
            bearer_token=self.bearer_token,
            environment=self.environment,
            base_url=self.base_url,
            allow_http=self.allow_http,
            proxy=self.proxy,
            trust_env=not self._is_local(),
            timeout=timeout,
        )

    def _is_local(self) -> bool:
        """Whether the service runs on this machine, which no proxy of the environment is meant for.

        Plain http is permitted there, and would show the key to a proxy.
        """
        from_environment = os.environ.get("CHAMELAION_BASE_URL", "") if self.environment is None else ""
        try:
            host = urlsplit((self.base_url or from_environment).strip()).hostname
        except ValueError:  # the client says what is wrong with it
            return False
        return is_loopback(host or "")
