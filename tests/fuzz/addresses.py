"""Ids, paths, parameters and URLs: nothing leads elsewhere than where it was meant to, or out of its folder."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

from yarl import URL

from chamelaion_async._http.addresses import api_path, api_url, check_base_url, id_segment, public_url, stable_query
from chamelaion_async._media.targets import plan
from chamelaion_async._media.urls import parse_output_url
from chamelaion_async.errors import ConfigurationError, DownloadError

from .target import Target

_BASE = "https://api.example.com/api"
_PREFIX = "/v1/lipsync/requests/"
_PASSWORD = "hunter2"
_MAX_TEXT = 2500
_MAX_NAME = 255
_MAX_ID = 512
_FOLDER = Path(tempfile.gettempdir())


def _check(data: bytes) -> None:
    """Try the text, in the role that the first line names or in each of them."""
    role, _, rest = data.partition(b"\n")
    text = rest.decode("utf-8", "surrogateescape")
    named = _ROLES.get(role.decode("latin-1"))
    for check in [named] if named else _ROLES.values():
        check(text)


def _check_id(text: str) -> None:
    try:
        segment = id_segment(text)
    except ConfigurationError:
        assert text in ("", ".", "..") or len(text) > _MAX_ID or not _is_encodable(text)
        return
    url = api_url(_BASE, api_path(_PREFIX + segment))
    _assert_below_base(url)
    # A proxy may parse the URL again and bring it into normal form.
    for path in (url.raw_path_qs, URL(str(url)).raw_path_qs, urlsplit(str(url)).path):
        assert path.startswith("/api" + _PREFIX)
        tail = path.removeprefix("/api" + _PREFIX)
        assert "/" not in tail
        assert unquote(tail, errors="strict") == text


def _check_path(text: str) -> None:
    try:
        path = api_path(text)
    except ConfigurationError:
        return
    assert api_path(path) == path
    url = api_url(_BASE, path)
    _assert_below_base(url)
    _assert_below_base(URL(str(url)))


def _assert_below_base(url: URL) -> None:
    assert url.origin() == URL("https://api.example.com")
    assert (url.raw_query_string, url.raw_fragment, url.user, url.password) == ("", "", None, None)
    assert url.raw_path.startswith("/api/")
    assert not {".", ".."} & {unquote(segment) for segment in url.raw_path.split("/")}
    assert str(url).isascii()
    assert str(url).isprintable()


def _check_base(text: str) -> None:
    for allow_http in (False, True):
        try:
            checked = check_base_url(text, allow_http=allow_http)
        except ConfigurationError as error:
            _assert_password_hidden(text, error)
            continue
        # yarl leaves capitals alone in a name of which the idna package wants to know nothing.
        assert check_base_url(checked, allow_http=allow_http).lower() == checked.lower()
        base, url = URL(checked), api_url(checked, "/v1/x")
        assert base.scheme == "https" or (base.scheme == "http" and (allow_http or _is_loopback(base.host or "")))
        (base.raw_host or "").encode("idna")  # as a resolver does
        assert base.host
        assert (base.user, base.password, base.raw_query_string, base.raw_fragment) == (None, None, "", "")
        assert str(url.origin()).lower() == str(base.origin()).lower()
        assert url.raw_path == base.raw_path.rstrip("/") + "/v1/x"


def _is_loopback(host: str) -> bool:
    return host in ("localhost", "::1") or host.endswith(".localhost") or host.startswith(("127.", "::ffff:127."))


def _check_public_url(text: str) -> None:
    try:
        assert public_url("video", text, "pass a file instead") == text
    except ConfigurationError as error:
        _assert_password_hidden(text, error)


def _check_query(text: str) -> None:
    """Send the text as name, value and one of several values."""
    try:
        params = stable_query({"a": text, text + "b": "c", "d": iter(["e", text])})
        url = api_url(_BASE, "/v1/x", params)
    except ConfigurationError:
        assert not _is_encodable(text)
        return
    assert url.raw_path == "/api/v1/x"
    assert url.raw_fragment == ""
    pairs = parse_qsl(url.raw_query_string, keep_blank_values=True, strict_parsing=True)
    assert pairs == [("a", text), (text + "b", "c"), ("d", "e"), ("d", text)]


def _check_output(text: str) -> None:
    """Plan to download from the text as a URL into a folder."""
    try:
        (target,) = plan(text, _FOLDER)
    except DownloadError as error:
        _assert_password_hidden(text, error)
        return
    (parse_output_url(text).raw_host or "").encode("idna")  # as a resolver does
    assert target.parent == _FOLDER
    assert target.name not in ("", ".", "..")
    assert len(target.name.encode()) <= _MAX_NAME
    assert not re.search(r'[\x00-\x1f\x7f/\\:*?"<>|]', target.name)


def _assert_password_hidden(text: str, error: Exception) -> None:
    """Hold that an error shows a password only where the text has it in the open, as a host or in a path."""
    shown = re.split(r"[?#]", text, maxsplit=1)[0].rpartition("@")[2]
    assert _PASSWORD in shown or _PASSWORD not in str(error)
    assert len(str(error)) <= _MAX_TEXT


def _is_encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


_ROLES: dict[str, Callable[[str], None]] = {
    "id": _check_id,
    "path": _check_path,
    "base": _check_base,
    "public": _check_public_url,
    "query": _check_query,
    "output": _check_output,
}
_SEEDS = [
    b"\nhttps://a.b/c",
    b"output\nhttps://a.b/" + b"x" * 300,
    *(
        line.replace(" ", "\n", 1).encode()
        for line in """\
id 6f82a2d8-a6d4-4e8a-a0fa-e8b09823a2d8
id dub_42~x
id ../users/me
id %2e%2e%2fusers
id a/../../b?c#d
path /v1/users/me
path /v1/a%2Fb/c d
path /v1/../admin
path /v1/%2e%2E/admin
base https://api.example.com:8443/api/
base https://user:hunter2@api.example.com/api?key=hunter2#hunter2
base http://localhost:8787/api
base http://127.0.0.1:8787
base https://[2001:db8::1%25eth0]:8443/api
base https://bücher.example/größe
base https://[::1]:@/
base https://[x:y]/
base https://[2001:db8::1%25eth\u202e0]/
base https://[2001:db8::1%25eth..0]/
public https://cdn.example.com/a.mp4?sig=hunter2
public https://[::1]:@/
query a&b=c d/e+f#g?h
output https://cdn.example.com/out/film.mp4?sig=hunter2
output http://user:hunter2@cdn.example.com/%2e%2e%2f.hidden.mp4
output https://[::1]:@/
output https://a..b/film.mp4""".splitlines()
    ),
]
_WORDS = [
    *(
        "https:// http:// HTTP:// https: // / : @ ? # & = + ; , % %% %2 %2e %2E%2e %2f %5c %00 %0a %ff %e2%82 %252e "
        ". .. ../ /./ /../ ~ \\ | \" < > ' * $ ! ( ) [ ] [::1] [:: :: [::1]:@ %25 %eth0 localhost .localhost "
        "127.0.0.1 127.1 0x7f.1 2130706433 ::ffff:127.0.0.1 10.0.0.5 a.b xn-- xn--a xn--bcher-kva _a -a- a- a..b "
        "0 65535 65536 99999 -1 hunter2 user:hunter2@ ?hunter2 #hunter2 ftp:// file:// javascript: data: com1 "
        "nul .part \xfc \xdf \u0131 \u212a \u2100 \u3002 \uff0f \uff0e \u2024 \u2025 \u200b \xad \u202e "
        "\u0301 \U0001f600"
    )
    .encode()
    .split(b" "),
    *(role.encode() + b"\n" for role in _ROLES),
    b"x" * 63,
    b"x" * 64,
    b"x" * 513,
    b"a." * 127,
    "ü".encode() * 300,
    b"%2e" * 200,
    b"../" * 300,
]

ADDRESSES = Target(name="addresses", check=_check, seeds=_SEEDS, words=_WORDS)
