"""Options that several commands have: the service, its credentials, the family of jobs, timeouts."""

from __future__ import annotations

import os
from typing import Annotated, Final, Literal, TypeAlias
from urllib.parse import urlsplit

import attrs
from cyclopts import Parameter
from cyclopts.validators import Number

from ..._http.addresses import is_loopback
from ...client import AsyncClient
from ...config import PollPolicy
from ...errors import ConfigurationError
from ...resources.lipsync import LipsyncRequests
from ...resources.video_translate import VideoTranslateRequests

__all__ = [
    "POLLING",
    "AttemptTimeout",
    "Family",
    "Flag",
    "Offset",
    "PageSize",
    "Requests",
    "ServiceOptions",
    "WaitTimeout",
    "family_option",
    "requests_of",
]

# Without negative="", cyclopts adds a second option, such as --no-json beside --json.
Flag = Annotated[bool, Parameter(negative="", show_default=False)]
# The texts of defaults and choices would make a second line of most; docstrings say them in fewer words.
AttemptTimeout = Annotated[float, Parameter(validator=Number(gt=0), show_default=False)]
WaitTimeout = Annotated[float, Parameter(validator=Number(gte=0), show_default=False)]
PageSize = Annotated[int | None, Parameter(validator=Number(gte=1))]
Offset = Annotated[int | None, Parameter(validator=Number(gte=0))]

# A command lives for one wait: it would otherwise know of no finished job.
POLLING: Final = PollPolicy(prime=True)

Family = Annotated[Literal["lipsync", "translate"], Parameter(show_choices=False, show_default=False)]
Requests: TypeAlias = LipsyncRequests | VideoTranslateRequests


def requests_of(client: AsyncClient, family: Family) -> Requests:
    """Return the requests of a family."""
    return client.lipsync.requests if family == "lipsync" else client.video_translate.requests


def family_option(family: Family) -> dict[str, str]:
    """Return the option that selects a family in another command: none for the default."""
    return {} if family == "lipsync" else {"family": family}


@Parameter(name="*")
@attrs.frozen(kw_only=True)
class ServiceOptions:
    """The service to call, and its credentials.

    Attributes:
        api_key: API key. Better set CHAMELAION_API_KEY: other users of this machine can read command lines.
        bearer_token: Bearer token, instead of a key or in addition. Better set CHAMELAION_BEARER_TOKEN.
        environment: Environment of the service. Default: production.
        base_url: URL of the API, instead of an environment. A sandbox prints its own as its first line. Default:
            CHAMELAION_BASE_URL.
        allow_http: Allow plain http to another machine. This sends the key unencrypted.
        proxy: URL of an http proxy for all calls and downloads. Default: HTTPS_PROXY or HTTP_PROXY, but none for
            the hosts in NO_PROXY and for a service on this machine.
    """

    # Secrets stay out of the repr, which tracebacks with local variables show.
    api_key: str | None = attrs.field(default=None, repr=False)
    bearer_token: str | None = attrs.field(default=None, repr=False)
    environment: Literal["production", "staging"] | None = None
    base_url: str | None = None
    allow_http: Flag = False
    proxy: str | None = attrs.field(default=None, repr=False)

    def for_next_command(self) -> dict[str, str | bool | None]:
        """Return the options with which another command reaches the same service, without keys and passwords."""
        return {
            "environment": self.environment,
            "base_url": self.base_url,
            "allow_http": self.allow_http,
            # A user name and password end with @ (RFC 3986, section 3.2.1).
            "proxy": None if self.proxy is None or "@" in self.proxy else self.proxy,
        }

    def client(self, *, timeout: float = 60.0, needs_key: bool = True) -> AsyncClient:
        """Return a client with these options.

        Args:
            timeout: Seconds for one attempt of a call.
            needs_key: Whether to raise at once if there are no credentials.

        Raises:
            ConfigurationError: There are no credentials, or an option cannot work.
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
            polling=POLLING,
        )

    def _is_local(self) -> bool:
        """Whether the service runs on this machine, for which a proxy of the environment is not used.

        The client allows plain http to this machine without being asked, and a proxy would read the key.
        """
        from_environment = os.environ.get("CHAMELAION_BASE_URL", "") if self.environment is None else ""
        try:
            host = urlsplit((self.base_url or from_environment).strip()).hostname
        except ValueError:  # the client explains what is wrong with the URL
            return False
        return is_loopback(host or "")
