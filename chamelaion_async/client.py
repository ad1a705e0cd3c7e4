"""The client: settings in, resources out, and a life cycle."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final, Self

import aiohttp
import attrs
from yarl import URL

from ._http.addresses import Query, api_path, check_base_url, stable_query
from ._http.answers import check_json
from ._http.call import Call
from ._http.headers import EVERY_CALL, USER_AGENT, credential_headers, merge_headers
from ._http.lanes import make_lanes
from ._http.lifecycle import Lifecycle
from ._http.proxies import given_proxy
from ._http.secrets import Secret
from ._http.transport import Transport
from .config import Pace, PollPolicy, RetryPolicy, check_flag, check_seconds, choose_base_url
from .errors import ConfigurationError
from .models import Artifacts, DownloadProgress, LipsyncRequest, OnUpdate, RawResponse, VideoTranslateRequest
from .polling.durations import Durations, given_durations
from .resources.account import HealthResource, UsersResource
from .resources.family import FamilyState
from .resources.lipsync import LIPSYNC, LipsyncResource
from .resources.video_translate import VIDEO_TRANSLATE, VideoTranslateResource
from .sharing import Membership, Shared

__all__ = ["AsyncClient"]

_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


@attrs.frozen(kw_only=True)
class _Common:
    """What the views of one client have in common beside the connection and the lanes."""

    durations: Durations
    lipsync: FamilyState[LipsyncRequest]
    translations: FamilyState[VideoTranslateRequest]

    @property
    def families(self) -> tuple[FamilyState[Any], ...]:
        """The state of each family."""
        return self.lipsync, self.translations


class AsyncClient:
    """A client for the Chamelaion API.

    Use it as an async context manager, or call ``aclose()``. One client serves any number of coroutines of one event
    loop. Its session is opened by the first call, in the loop that makes it.

    Args:
        api_key: Sent as ``x-api-key``; by default ``CHAMELAION_API_KEY`` from the environment.
        bearer_token: Sent as ``Authorization: Bearer``; by default ``CHAMELAION_BEARER_TOKEN``. Both are sent if both
            are given. Without either, calls that need credentials raise ``ConfigurationError``.
        environment: ``"production"`` or ``"staging"``.
        base_url: Where the API is, instead of an environment. http(s) only. The order is this argument,
            ``environment``, ``CHAMELAION_BASE_URL``, production.
        session: An aiohttp session (an ``aiohttp.ClientSession`` or of a subclass) whose connector is to be shared.
            It is never closed. Its proxy and trace settings apply to the calls; its headers, cookies, credentials,
            middlewares and other session-wide settings do not.
        proxy: Address of an http(s) proxy for every call and download, such as
            ``"http://user:password@proxy.example.com:3128"``; an https API is reached through a tunnel (RFC 9110,
            section 9.3.6), so that the proxy sees neither key nor data. Not together with ``session``, which has its
            own.
        trust_env: Whether to take the proxy from ``HTTPS_PROXY`` (or ``HTTP_PROXY``, for an http address) where
            ``proxy`` names none, except for the hosts in ``NO_PROXY``; read at every call. netrc is never read. Not
            together with ``session``, which has its own.
        timeout: Seconds for one attempt of a call, from sending to the last byte of the answer.
        retry: How single calls are repeated.
        polling: How waits poll.
        pace: How fast the whole client may go.
        durations: How long jobs took, for the spacing of polls: the ``durations`` of another client, or the text that
            their ``dump()`` returned. Text that is damaged is not used, with a warning in the log.
        shared: What shares rate and polls with other processes on the same account, such as a ``RedisShared`` that
            is open. ``pace.max_rate`` is then the rate of all of them together. It is not closed with the client.
        drain_on_signals: Whether to ``drain()`` when SIGTERM or SIGINT arrives, before the handler that is installed
            for it, such as a server's, does its work. Ours is installed by the first use of the client, put back in
            front within a second if another replaces it, and restored to what was there when the client closes. A
            signal without a handler ends the process as ever. In a thread that is not the main thread, where Python
            allows no handlers, this has no effect but a warning in the log.
        default_headers: Sent with every call. Credentials do not belong here.
        allow_http: Permit plain http to a host that is not loopback; the key then travels in the clear.

    Attributes:
        health: Whether the service runs.
        users: The identity behind the credentials.
        lipsync: Lip sync jobs.
        video_translate: Video translations and their voices.

    Raises:
        ConfigurationError: A setting cannot work. The text never holds a credential.
    """

    def __init__(
        self,
        api_key: str | None = None,
        *,
        bearer_token: str | None = None,
        environment: str | None = None,
        base_url: str | None = None,
        session: aiohttp.ClientSession | None = None,
        proxy: str | URL | None = None,
        trust_env: bool = False,
        timeout: float = 60.0,
        retry: RetryPolicy = RetryPolicy(),
        polling: PollPolicy = PollPolicy(),
        pace: Pace = Pace(),
        durations: Durations | str | None = None,
        shared: Shared | None = None,
        drain_on_signals: bool = False,
        default_headers: Mapping[str, str] | None = None,
        allow_http: bool = False,
    ) -> None:
        # Rebound at once, so that no frame of ours shows the key in a traceback with local variables.
        api_key = _secret(api_key, "CHAMELAION_API_KEY")
        bearer_token = _secret(bearer_token, "CHAMELAION_BEARER_TOKEN")
        proxy = _masked_proxy(proxy)
        url = check_base_url(choose_base_url(base_url, environment), allow_http=allow_http)
        credentials = credential_headers(api_key, bearer_token)
        lifecycle = Lifecycle(
            session,
            proxy=None if proxy is None else given_proxy(proxy),
            trust_env=check_flag("trust_env", trust_env),
            drain_on_signals=check_flag("drain_on_signals", drain_on_signals),
        )
        headers = merge_headers(EVERY_CALL, default_headers)
        attempt = check_seconds("timeout", timeout, positive=True)
        known = given_durations(durations)
        membership = None if shared is None else _join(shared, lifecycle, url, credentials, pace)
        transport = Transport(
            lifecycle=lifecycle,
            lanes=make_lanes(pace, None if membership is None else membership.budget),
            base_url=url,
            credentials=credentials,
            headers=headers,
            timeout=attempt,
            retry=retry,
        )
        options: dict[str, Any] = {
            "durations": known,
            "membership": membership,
            "read_timeout": polling.request_timeout,
        }
        common = _Common(
            durations=known,
            lipsync=FamilyState(LIPSYNC, transport, **options),
            translations=FamilyState(VIDEO_TRANSLATE, transport, **options),
        )
        self._set_up(transport, polling, common)

    def _set_up(self, transport: Transport, polling: PollPolicy, common: _Common) -> None:
        self._transport = transport
        self._polling = polling
        self._common = common
        self.health: HealthResource = HealthResource(transport)
        self.users: UsersResource = UsersResource(transport)
        self.lipsync: LipsyncResource = LipsyncResource(transport, polling, common.lipsync)
        self.video_translate: VideoTranslateResource = VideoTranslateResource(transport, polling, common.translations)

    def with_options(
        self,
        *,
        timeout: float | None = None,
        retry: RetryPolicy | None = None,
        polling: PollPolicy | None = None,
        default_headers: Mapping[str, str] | None = None,
    ) -> Self:
        """Return a view of this client with other options; what is left out stays as it is.

        The view shares session, pace and the reads of waits with this client, and closing either closes both. What is
        read for waits and batches is sent with the headers of the client that the view was made of.

        Args:
            timeout: Seconds for one attempt of a call.
            retry: How single calls are repeated.
            polling: How waits poll.
            default_headers: Added to the headers of this client; the same name replaces.

        Raises:
            ConfigurationError: An option cannot work.
        """
        transport = self._transport
        view = object.__new__(type(self))
        view._set_up(
            attrs.evolve(
                transport,
                headers=merge_headers(transport.headers, default_headers),
                timeout=transport.timeout if timeout is None else check_seconds("timeout", timeout, positive=True),
                retry=retry or transport.retry,
            ),
            polling or self._polling,
            self._common,
        )
        return view

    @property
    def base_url(self) -> str:
        """Where calls go, without a trailing slash."""
        return self._transport.base_url

    @property
    def durations(self) -> Durations:
        """How long jobs took, as far as this client has read finished ones; all its views share it.

        Save it with ``durations.dump()``, and pass the text to the next client as ``AsyncClient(durations=text)``.
        """
        return self._common.durations

    @property
    def is_closed(self) -> bool:
        """Whether the client has been closed."""
        return self._transport.lifecycle.closed

    @property
    def is_draining(self) -> bool:
        """Whether ``drain()`` was called, or the client is closed: waits have ended, and new ones are refused."""
        return self._transport.lifecycle.is_draining

    async def wait_until_finished(
        self,
        id: str,
        *,
        timeout: float | None = 600.0,
        polling: PollPolicy | None = None,
        on_update: OnUpdate[LipsyncRequest] | None = None,
    ) -> LipsyncRequest:
        """Wait until a lip sync request is completed or failed: ``lipsync.requests.wait_until_finished``.

        A failed job is a result, not an error: call ``raise_for_failure()`` on what is returned. Cancelling the wait
        stops this wait only, leaves nothing behind and does not touch the job.

        Args:
            id: Its UUID, or the ``reference_id`` that it was submitted with.
            timeout: Seconds to wait in all; 0 polls once, None waits without end.
            polling: How often to poll and which failures to tolerate, instead of the client's own policy.
            on_update: Called with the request at first sight and whenever it has changed. May be a function or a
                coroutine function; what it raises ends the wait and reaches the caller.

        Returns:
            The finished request.

        Raises:
            ConfigurationError: The id or an argument cannot work; nothing was sent.
            WaitTimeoutError: It had not finished in time. The job goes on; wait again.
            WaitUnreachableError: Nothing readable came for ``polling.outage_budget`` seconds.
            NotFoundError: The API has answered 404 for ``polling.not_found_grace`` seconds.
            AuthenticationError: The credentials are not accepted.
            APIStatusError: Any other refusal that waiting does not change.
            ClientClosedError: The client was closed or drained meanwhile.
        """
        return await self.lipsync.requests.wait_until_finished(
            id, timeout=timeout, polling=polling, on_update=on_update
        )

    async def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str | float | bool | Iterable[str] | None] | None = None,
        json: Any = None,
    ) -> Any:
        """Call an endpoint that has no method here yet, and return its decoded JSON.

        Credentials, pace, retries, the cap on answers and errors are those of every other call. GET is repeated as
        ``RetryPolicy`` says; any other method only when it was certainly not accepted.

        Args:
            method: HTTP method, such as ``"GET"``.
            path: Path below the base URL, such as ``"/v1/users/me"``.
            params: Query parameters; None leaves one out, booleans are sent as ``true`` and ``false``.
            json: Body, sent as JSON; None sends none.

        Returns:
            The decoded answer, or None where the answer has no body.

        Raises:
            ConfigurationError: Method or path cannot work; nothing was sent.
            InvalidResponseError: The answer is not JSON.
            ChamelaionError: Any other failure of the call.
        """
        return await self._transport.fetch_json(_call(method, path, params, json))

    async def request_raw(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str | float | bool | Iterable[str] | None] | None = None,
        json: Any = None,
    ) -> RawResponse:
        """Do as ``request`` does, and return the answer undecoded with its status and headers.

        Raises:
            ConfigurationError: Method or path cannot work; nothing was sent.
            ChamelaionError: Any failure of the call, an answer of 3xx, 4xx or 5xx included.
        """
        return await self._transport.send(_call(method, path, params, json))

    async def download(
        self,
        request_or_url: str | LipsyncRequest | VideoTranslateRequest | Artifacts,
        path: str | os.PathLike[str],
        *,
        on_progress: DownloadProgress | None = None,
        overwrite: bool = False,
    ) -> Path:
        """Download an output.

        The bytes go to ``NAME.part``, which is renamed when it is complete, so a file with the final name is never
        half a file. A download that breaks off is resumed (RFC 9110, sections 13.1.5 and 14), within this call and by
        the next one for the same path; if the output has changed meanwhile, it starts over. No credentials are sent,
        and up to ten redirects in a row are followed, to http(s) only. Memory stays constant.

        Args:
            request_or_url: A completed lip sync request, for its ``output_url``; a completed translation or one
                language's ``Artifacts``, for all of their files; or any http(s) URL.
            path: The file to write, or what a symlink leads to. A folder takes a single output under the name in its
                URL; it exists, or is named with a slash at the end and made. For a translation it is the folder, made
                if need be, for ``LANGUAGE.mp4``, ``.wav`` and ``.srt``; for artifacts that for ``video.mp4``,
                ``audio.wav`` and ``subtitles.srt``.
            on_progress: Called with the bytes on disk and the bytes in all (None if unknown) of each file in turn.
                What it raises ends the download and reaches the caller.
            overwrite: Whether a file that exists may be replaced; it keeps its mode. Devices, pipes and sockets are
                refused in any case.

        Returns:
            The file, or the folder for more than one.

        Raises:
            ConfigurationError: The source is none of these, such as a URL that is no ``str``.
            DownloadError: There is no output, the file exists, the URL has expired (403), a web page came in place of
                the output, the disk is full, no thread was free to write for ``timeout`` seconds, ``NAME.part`` is
                another program's, or the download broke off too often. The part is kept where it can be resumed, and
                removed if not.
            RequestFailedError: The request failed, so it has no output.
            ClientClosedError: The client was closed meanwhile.

        A cancellation closes the part and keeps it in the same way.
        """
        # Imported here, since most programs do not download and the import takes time.
        from ._media.downloads import Downloads  # noqa: PLC0415

        transport = self._transport
        downloads = Downloads(
            lifecycle=transport.lifecycle,
            headers={"User-Agent": USER_AGENT},
            timeout=transport.timeout,
            retry=transport.retry,
        )
        return await downloads.save(request_or_url, path, on_progress=on_progress, overwrite=overwrite)

    def drain(self) -> None:
        """End all waits, and refuse new ones, so that a server whose handlers wait can stop.

        New waits are refused at once. Those under way end in the next turn of the event loop: ``watch``,
        ``watch_many`` and ``as_finished`` yield what was read before and end as if the last job was finished;
        ``wait_until_finished`` and ``wait_all`` raise ``ClientClosedError``, as each new wait does. Other calls,
        submissions, ``get_many`` and downloads are not touched, and may still begin. The jobs go on.

        A plain function that returns at once and never raises: call it in the loop, in a signal handler or in any
        thread, as often as you like. It cannot be undone, and ``aclose()`` is still needed. All views of the client
        drain together.
        """
        self._transport.lifecycle.drain()

    async def aclose(self) -> None:
        """Close the client. Calls and waits under way end at once with ``ClientClosedError``.

        May be called any number of times. A session that was passed in stays open.
        """
        await self._transport.lifecycle.aclose()

    async def __aenter__(self) -> Self:
        self._transport.lifecycle.check()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    def __repr__(self) -> str:
        if "_transport" not in self.__dict__:
            return "<AsyncClient that could not be made>"  # shown in the traceback of its own constructor
        state = " closed" if self.is_closed else ""
        return f"<AsyncClient {self.base_url}{state}>"


def _join(shared: Any, lifecycle: Lifecycle, url: str, credentials: Mapping[str, Secret], pace: Pace) -> Membership:
    """Add a client to those that share an account, until it is closed."""
    if isinstance(shared, str) or not callable(getattr(shared, "join", None)):  # a str has a join of its own
        raise ConfigurationError(f"shared must be a RedisShared or the like, not {type(shared).__name__}")
    if not credentials:
        raise ConfigurationError("shared needs an account: pass api_key, or set CHAMELAION_API_KEY")
    account = "\n".join(f"{name}: {value}" for name, value in sorted(credentials.items()))
    membership: Membership = shared.join(base_url=url, credentials=account.encode(), max_rate=pace.max_rate)
    lifecycle.at_close(lambda _: membership.close())
    return membership


def _secret(value: str | None, variable: str) -> str | None:
    """Return the argument or the environment's value; an empty variable counts as none.

    It is masked here, whatever it is; the function that makes the headers says what is wrong with it.
    """
    if value is None:
        value = Secret(os.environ.get(variable, "").strip())
        return value or None
    return Secret(value if isinstance(value, str) else "")


def _masked_proxy(proxy: object) -> Secret | None:
    """Mask what may hold a password; the function that parses it says what is wrong with it."""
    if proxy is None:
        return None
    return Secret(proxy if isinstance(proxy, (str, URL)) else "")


def _call(method: str, path: str, params: Query | None, json: Any) -> Call:
    verb = method.upper() if isinstance(method, str) else method
    if verb not in _METHODS:
        raise ConfigurationError(f"{method!r} is not one of the methods {', '.join(sorted(_METHODS))}")
    check_json("json", json)
    return Call(method=verb, path=api_path(path), params=stable_query(params), json=json)
