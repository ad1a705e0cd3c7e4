"""Redirects: followed as browsers do, at most ten in a row, and never with credentials to another host."""

from __future__ import annotations

import pytest

from chamelaion_async._media.redirects import MAX_REDIRECTS

from .origin import (
    CREDENTIALS,
    ETAG,
    ONCE,
    OUTPUT,
    SIGNED,
    Answer,
    Asked,
    Download,
    Reply,
    Then,
    cut,
    redirect,
    reply,
    rest,
    whole,
)


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"])
async def test_a_redirect_to_another_host_is_followed_without_credentials(download: Download, status: str) -> None:
    storage = await download.serve(whole())
    download.url = "/film.mp4"

    await download(reply(b"", status, {"Location": storage.url(), "Set-Cookie": "a=b"}))

    assert download.content == OUTPUT
    assert CREDENTIALS.isdisjoint(storage.asked[0].headers)


@pytest.mark.parametrize(
    ("to", "sent"),
    [("/film.mp4", True), ("the same host", True), ("another host", False)],
)
async def test_credentials_in_a_url_follow_a_redirect_within_its_origin_only(
    download: Download, to: str, sent: bool
) -> None:
    storage = await download.serve(whole())
    hosts = {"another host": storage.url()}

    def answer(asked: Asked) -> Reply:
        if asked.target == "/film.mp4":
            return whole()
        return redirect(hosts.get(to, to))

    origin = await download.serve(answer)
    hosts["the same host"] = origin.url("/film.mp4")

    await download.client.download(origin.url().replace("//", "//me:secret@"), download.target)

    asked = (storage if to == "another host" else origin).asked[-1]
    assert asked.headers.get("authorization") == ("Basic bWU6c2VjcmV0" if sent else None)


async def test_a_redirected_download_is_resumed(download: Download) -> None:
    storage = await download.serve(cut(OUTPUT, 1000, ETAG), rest(OUTPUT, 1000))

    await download(redirect(storage.url()))

    assert (storage.asked[1].headers["range"], storage.asked[1].headers["if-range"]) == ("bytes=1000-", '"v1"')
    assert download.content == OUTPUT


@pytest.mark.parametrize(
    "location",
    ["ftp://127.0.0.1/a.mp4", "file:///etc/passwd", "data:text/plain,hi", "http://", "http://[::1/x", "javascript:1"],
)
async def test_a_redirect_to_anything_but_the_web_is_refused(download: Download, location: str) -> None:
    await download.fails(redirect(location), match="redirects")

    assert download.names == []


def answer_after(count: int) -> Answer:
    """Redirect ``count`` times from /0 to /1 and so on, and answer with the output then."""

    def answer(asked: Asked) -> Reply:
        hop = int(asked.target.removeprefix("/"))
        return whole() if hop == count else redirect(f"/{hop + 1}")

    return answer


async def test_ten_redirects_in_a_row_are_followed(download: Download) -> None:
    download.url = "/0"

    await download(answer_after(MAX_REDIRECTS))

    assert (MAX_REDIRECTS, download.content) == (10, OUTPUT)


async def test_the_eleventh_redirect_in_a_row_is_a_download_error(download: Download) -> None:
    download.url = "/0"

    origin = await download.fails(answer_after(11), match="redirects more than 10 times")

    assert [asked.target for asked in origin.asked] == [f"/{hop}" for hop in range(11)]


@pytest.mark.parametrize("limit", [0, 3])
async def test_the_constant_is_the_limit_of_redirects(
    download: Download, monkeypatch: pytest.MonkeyPatch, limit: int
) -> None:
    monkeypatch.setattr("chamelaion_async._media.redirects.MAX_REDIRECTS", limit)
    download.url = "/0"

    await download(answer_after(limit))
    download.target = download.target.with_name("other.mp4")
    await download.fails(answer_after(limit + 1), match=f"redirects more than {limit} times")


@pytest.mark.parametrize("then", ["close", "reset"])
async def test_a_redirect_whose_connection_is_closed_unannounced_is_followed_on_another_one(
    download: Download, then: Then
) -> None:
    download.client = download.client.with_options(retry=ONCE)
    download.url = "/first"

    origin = await download(
        lambda asked: whole() if asked.target == "/film.mp4" else redirect("/film.mp4", then=then)
    )

    assert download.content == OUTPUT
    assert [asked.target for asked in origin.asked] == ["/first", "/film.mp4"]


LOCATIONS = {
    "blank": (b"/a film.mp4?n=a b", "/a%20film.mp4?n=a%20b"),
    "UTF-8": ("/für élise.mp4?n=é".encode(), "/f%C3%BCr%20%C3%A9lise.mp4?n=%C3%A9"),
    "Latin-1": ("/für élise.mp4?n=é".encode("latin-1"), "/f%FCr%20%E9lise.mp4?n=%E9"),
    "quoted in part": ("/%C3%BC é%2f.mp4?a=%2B é".encode(), "/%C3%BC%20%C3%A9%2f.mp4?a=%2B%20%C3%A9"),
    "percent that quotes nothing": (b"/100% film.mp4", "/100%%20film.mp4"),
    "other characters": (
        b'/<a>"`{b}^|[c].mp4?q=<a>"`{b}^|[c]\'',
        "/%3Ca%3E%22%60%7Bb%7D%5E|[c].mp4?q=%3Ca%3E%22`{b}^|[c]'",
    ),
    "tab and blanks around": (b"  /fi\tlm.mp4  ", "/film.mp4"),
    "backslashes": (b"\\out\\film.mp4?a=\\", "/out/film.mp4?a=\\"),
    "fragment": ("/film.mp4#é".encode(), "/film.mp4"),
    "relative": (b"other film.mp4", "/out/other%20film.mp4"),
    "one folder up": (b"../other.mp4", "/other.mp4"),
    "query alone": (b"?a=b c", "/out/film.mp4?a=b%20c"),
    "scheme alone": (b"http:film.mp4", "/out/film.mp4"),
    "signed": (SIGNED.encode(), SIGNED),
}


@pytest.mark.parametrize(("location", "asked"), LOCATIONS.values(), ids=LOCATIONS.keys())
@pytest.mark.parametrize("is_absolute", [False, True], ids=["path", "URL"])
async def test_a_redirect_is_requested_as_browsers_do(
    download: Download, location: bytes, asked: str, is_absolute: bool
) -> None:
    """Bytes beyond ASCII are quoted one by one, whatever their encoding is."""
    storage = await download.serve(whole())
    start = b""
    if is_absolute:
        if not location.startswith(b"/"):
            location = asked.encode()
        start = f"http://{storage.host}".encode()
    raw = b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: " + start + location + b"\r\n\r\n"

    origin = await download(Reply(raw), whole())

    assert (storage if is_absolute else origin).asked[-1].target == asked
