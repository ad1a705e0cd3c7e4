"""URLs of outputs: requested byte for byte, quoted where no URL can hold a character, refused where they are none."""

from __future__ import annotations

import traceback
from pathlib import Path
from typing import Any

import pytest

from chamelaion_async import Artifacts, ConfigurationError, DownloadError

from .origin import SIGNED, Download, whole

SECRET = "s3cr3t"


@pytest.mark.parametrize(
    ("raw", "asked"),
    [
        (SIGNED, SIGNED),
        ("/film.mp4?a=b#t=10", "/film.mp4?a=b"),
        ("/für élise.mp4", "/f%C3%BCr%20%C3%A9lise.mp4"),
        ("/é.mp4?sig=a%2fb%7E+c", "/%C3%A9.mp4?sig=a%2fb%7E+c"),
    ],
    ids=["signed", "fragment", "letters beyond ASCII", "both"],
)
async def test_a_url_is_requested_with_nothing_changed_but_what_must_be_quoted(
    download: Download, raw: str, asked: str
) -> None:
    download.url = raw

    origin = await download(whole())

    assert origin.asked[0].target == asked


@pytest.mark.parametrize("into", ["file", "folder"])
@pytest.mark.parametrize(
    "url",
    [
        "",
        "example.com/film.mp4",
        "/output/film.mp4",
        "file:///etc/passwd",
        "ftp://127.0.0.1/film.mp4",
        "http:///film.mp4",
        "http://[::1/film.mp4",
        "http://[::1]:@/film.mp4",
        "http://127.0.0.1:99999/film.mp4",
        "http://127.0.0.1:port/film.mp4",
    ],
)
async def test_what_is_no_web_address_is_refused_without_its_query(download: Download, url: str, into: str) -> None:
    folder = download.target.parent

    with pytest.raises(DownloadError, match="is not a") as caught:
        await download.client.download(f"{url}?sig={SECRET}", download.target if into == "file" else folder)

    assert SECRET not in "".join(traceback.format_exception(caught.value))
    assert download.names == []


class Address:
    """A URL that is no str, as those of pydantic, yarl and httpx are."""

    scheme, host = "https", "example.com"


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        (None, "not NoneType"),
        (7, "not int"),
        (b"http://127.0.0.1/x", "not bytes"),
        (Path("x"), "not PosixPath"),
        (Address(), r"a URL as a str, not Address; pass str\(url\)"),
    ],
)
async def test_a_source_that_is_no_url_is_refused_with_the_true_reason(
    download: Download, source: Any, reason: str
) -> None:
    with pytest.raises(ConfigurationError, match=reason):
        await download.client.download(source, download.target)


async def test_an_output_url_that_is_no_str_is_refused(download: Download) -> None:
    artifacts = Artifacts(video=7, audio="", srt="")  # type: ignore[arg-type]

    with pytest.raises(ConfigurationError, match="a URL must be a str, not int"):
        await download.client.download(artifacts, download.target.with_name("films"))


@pytest.mark.parametrize("user", ["a%3Ab", "%E2%82%AC"], ids=["colon", "beyond Latin-1"])
async def test_credentials_in_a_url_that_no_header_can_hold_are_a_download_error(
    download: Download, user: str
) -> None:
    """RFC 7617 has no colon in a user, and aiohttp sends Latin-1."""
    origin = await download.serve(whole())

    with pytest.raises(DownloadError, match=r"the user or the password in its URL cannot be sent\. Check the URL"):
        await download.client.download(origin.url().replace("//", f"//{user}:hunter2@"), download.target)

    assert (origin.asked, download.names) == ([], [])
