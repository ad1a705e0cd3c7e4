"""Answers to a download: what is no output is refused, what may pass is tried again, and the part on disk stays."""

from __future__ import annotations

import gzip
from collections.abc import Mapping

import pytest

from chamelaion_async.sandbox import Sandbox

from .files import content
from .origin import ETAG, OUTPUT, OUTPUT_ROUTE, Download, Reply, cut, finished, reply, rest, whole

AGAIN = "read the request again"


async def test_an_expired_output_is_a_download_error_that_advises_to_read_the_request_again(
    download: Download, sandbox: Sandbox
) -> None:
    request = await finished(sandbox)
    sandbox.expire_output(request.id)

    await download.fails_for(request, match=rf"403.*{AGAIN}")

    assert sandbox.count(OUTPUT_ROUTE) == 1


@pytest.mark.parametrize(
    ("status", "advice"),
    [
        ("400 Bad Request", "Check the URL"),
        ("401 Unauthorized", AGAIN),
        ("403 Forbidden", AGAIN),
        ("404 Not Found", AGAIN),
        ("410 Gone", AGAIN),
        ("204 No Content", "Check the URL"),
        ("501 Not Implemented", "Check the URL"),
    ],
)
async def test_a_final_refusal_is_not_repeated_and_keeps_the_part(
    download: Download, status: str, advice: str
) -> None:
    download.left_behind(OUTPUT[:1000])

    origin = await download.fails(reply(b"", status), match=rf"{status[:3]}.*{advice}.*will be resumed")

    assert (len(origin.asked), download.part_content) == (1, OUTPUT[:1000])


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
async def test_a_passing_refusal_is_repeated(download: Download, status: int) -> None:
    await download(reply(b"", f"{status} Oops"), reply(b"", f"{status} Oops"), whole())

    assert download.content == OUTPUT


EXPIRED = (
    b"<?xml version='1.0' encoding='UTF-8'?><Error><Code>ExpiredToken</Code><Message>Invalid argument.</Message>"
    b"<Details>The provided token has expired. Request signature expired at: 2026-04-07</Details></Error>"
)


@pytest.mark.parametrize("body", [EXPIRED, b'{"error": "URL EXPIRED"}', b"<" + b" " * 3000 + EXPIRED])
async def test_a_400_about_expiry_advises_to_read_the_request_again(download: Download, body: bytes) -> None:
    download.left_behind(OUTPUT[:1000])

    origin = await download.fails(reply(body, "400 Bad Request"), match=rf"400.*expired.*{AGAIN}.*will be resumed")

    assert len(origin.asked) == 1


@pytest.mark.parametrize(
    "answer",
    [
        reply(b"<Error><Code>InvalidArgument</Code></Error>", "400 Bad Request"),
        reply(b"<Er", "400 Bad Request", length=100, then="close"),
        reply(b"<Er", "400 Bad Request", length=100, then="hang"),
        reply(b"", "400 Bad Request"),
    ],
    ids=["another reason", "cut off", "stalled", "no reason"],
)
async def test_any_other_400_advises_to_check_the_url(download: Download, answer: Reply) -> None:
    download.client = download.client.with_options(timeout=0.2)

    origin = await download.fails(answer, match=r"answered 400\. Check the URL")

    assert len(origin.asked) == 1


async def test_no_compression_is_asked_for(download: Download) -> None:
    origin = await download(whole())

    assert origin.asked[0].headers["accept-encoding"] == "identity"


@pytest.mark.parametrize("encoding", ["gzip", "GZIP", "deflate", "br", "zstd", "x-gzip", "gzip, identity", "lz4"])
@pytest.mark.parametrize("beside", ["", "aws-chunked,", "aws-chunked\r\nContent-Encoding: "], ids=repr)
async def test_a_compressed_output_is_refused(download: Download, encoding: str, beside: str) -> None:
    answer = reply(gzip.compress(OUTPUT), headers={**ETAG, "Content-Encoding": beside + encoding})

    await download.fails(answer, match=rf"compressed the output \({encoding.split(',', maxsplit=1)[0].lower()}\)")

    assert download.names == []


@pytest.mark.parametrize(
    "encoding", ["aws-chunked", "AWS-Chunked,", "UTF-8", "utf8", "binary", "none", "identity", "", "mp4", "7bit"]
)
@pytest.mark.parametrize("is_resumed", [False, True], ids=["whole", "resumed"])
async def test_a_coding_that_is_no_compression_leaves_the_bytes_as_they_are(
    download: Download, encoding: str, is_resumed: bool
) -> None:
    labelled = {**ETAG, "Content-Encoding": encoding}

    await download(
        *([cut(OUTPUT, 1000, labelled), rest(OUTPUT, 1000, labelled)] if is_resumed else [whole(labelled)])
    )

    assert download.content == OUTPUT


HTML = {**ETAG, "Content-Type": "text/html; charset=utf-8"}
PAGES: dict[str, tuple[bytes, Mapping[str, str]]] = {
    "doctype": (b"<!DOCTYPE html>\n<title>Log in</title>", HTML),
    "no doctype": (b"<title>Log in</title>", HTML),
    "blanks before it": (b" \r\n\t" * 99 + b"<HTML lang=en>", HTML),
    "byte order mark": (b"\xef\xbb\xbf<!doctype  HTML>", ETAG),
    "no type": (b"\n<!doctype html><p>404</p>", ETAG),
    "type of a video": (b"<html><body>404</body></html>", {**ETAG, "Content-Type": "video/mp4"}),
    "XHTML": (b"<?xml version='1.0'?><html/>", {**ETAG, "Content-Type": "application/xhtml+xml"}),
}


@pytest.mark.parametrize(("page", "headers"), PAGES.values(), ids=PAGES.keys())
async def test_a_web_page_in_place_of_an_output_is_a_download_error(
    download: Download, page: bytes, headers: Mapping[str, str]
) -> None:
    answer = reply(page, headers=headers)

    origin = await download.fails(answer, match=rf"a web page in place of the output.*{AGAIN}")

    assert (download.names, len(origin.asked)) == ([], 1)


async def test_a_web_page_does_not_cost_the_part_on_disk(download: Download) -> None:
    """As where a hotel's network wants a login in between."""
    download.left_behind(OUTPUT[:1000])

    origin = await download.fails(
        reply(b"<!doctype html><p>Log in</p>", headers=HTML), rest(OUTPUT, 1000), match="will be resumed"
    )
    await download.client.download(origin.url(), download.target)

    assert download.content == OUTPUT


@pytest.mark.parametrize("name", ["page.html", "PAGE.HTM", "page.xhtml"])
async def test_a_web_page_is_saved_under_a_name_of_one(download: Download, name: str) -> None:
    download.target = download.target.with_name(name)

    await download(reply(b"<!doctype html><p>Hello</p>", headers=HTML))

    assert content(download.target) == b"<!doctype html><p>Hello</p>"


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (OUTPUT, HTML),
        (b"1\n00:00:01,000 --> 00:00:02,000\n<html> says hello\n", HTML),
        (b"<header of some format" * 999, ETAG),
        (b" " * 9000 + OUTPUT, ETAG),
        (b"<", ETAG),
    ],
    ids=["labelled only", "subtitles", "another markup", "blanks", "a single byte"],
)
async def test_what_is_no_web_page_is_saved(download: Download, body: bytes, headers: Mapping[str, str]) -> None:
    await download(reply(body, headers=headers))

    assert download.content == body
