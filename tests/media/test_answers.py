"""Answers to a download: what is no output is refused, what may pass is tried again, and the part on disk stays."""

from __future__ import annotations

import gzip
from collections.abc import Mapping

import pytest

from chamelaion_async.sandbox import Sandbox

from .origin import ETAG, OUTPUT, OUTPUT_ROUTE, Download, Reply, cut, finished, reply, rest, whole

AGAIN = "read the request again"
CHECK = "Check the URL"
EXPIRED = (
    b"<?xml version='1.0' encoding='UTF-8'?><Error><Code>ExpiredToken</Code><Message>Invalid argument.</Message>"
    b"<Details>The provided token has expired. Request signature expired at: 2026-04-07</Details></Error>"
)
STATUSES = {
    "401 Unauthorized": AGAIN,
    "403 Forbidden": AGAIN,
    "404 Not Found": AGAIN,
    "410 Gone": AGAIN,
    "204 No Content": CHECK,
    "302 Found": CHECK,
    "501 Not Implemented": CHECK,
}
BODIES_OF_400 = {
    "expired, XML": (EXPIRED, f"400, and that something has expired.*{AGAIN}"),
    "expired, JSON": (b'{"error": "URL EXPIRED"}', f"400, and that something has expired.*{AGAIN}"),
    "expired, late": (b"<" + b" " * 3000 + EXPIRED, f"400, and that something has expired.*{AGAIN}"),
    "another reason": (b"<Error><Code>InvalidArgument</Code></Error>", rf"400\. {CHECK}"),
    "no reason": (b"", rf"400\. {CHECK}"),
}
CODINGS = ["gzip", "GZIP", "deflate", "br", "zstd", "x-gzip", "gzip, identity", "lz4"]
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
FINAL: dict[str, tuple[Reply, str]] = {
    **{status: (reply(b"", status), f"{status[:3]}.*{advice}") for status, advice in STATUSES.items()},
    **{f"400, {name}": (reply(body, "400 Bad"), reason) for name, (body, reason) in BODIES_OF_400.items()},
    "400, cut off": (reply(b"<Er", "400 Bad", length=100, then="close"), rf"400\. {CHECK}"),
    "400, stalled": (reply(b"<Er", "400 Bad", length=100, then="hang"), rf"400\. {CHECK}"),
    **{
        f"page, {name}": (reply(page, headers=headers), f"a web page in place of the output.*{AGAIN}")
        for name, (page, headers) in PAGES.items()
    },
    **{
        f"coding, {beside + coding!r}": (
            reply(gzip.compress(OUTPUT), headers={**ETAG, "Content-Encoding": beside + coding}),
            rf"compressed the output \({coding.split(',', maxsplit=1)[0].lower()}\)",
        )
        for coding in CODINGS
        for beside in ("", "aws-chunked,", "aws-chunked\r\nContent-Encoding: ")
    },
}


@pytest.mark.parametrize(("answer", "reason"), FINAL.values(), ids=FINAL.keys())
async def test_an_answer_without_an_output_ends_the_download_and_keeps_the_part(
    download: Download, answer: Reply, reason: str
) -> None:
    download.left_behind(OUTPUT[:1000])
    download.client = download.client.with_options(timeout=0.5)

    origin = await download.fails(answer, match=f"{reason}.*will be resumed")

    assert (len(origin.asked), download.part_content, download.content) == (1, OUTPUT[:1000], None)


async def test_an_expired_output_of_the_service_advises_to_read_the_request_again(
    download: Download, sandbox: Sandbox
) -> None:
    request = await finished(sandbox)
    sandbox.expire_output(request.id)

    await download.fails_for(request, match=rf"403.*{AGAIN}.*Nothing was left")

    assert (sandbox.count(OUTPUT_ROUTE), download.names) == (1, [])


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
async def test_a_passing_refusal_is_repeated(download: Download, status: int) -> None:
    await download(reply(b"", f"{status} Oops"), reply(b"", f"{status} Oops"), whole())

    assert download.content == OUTPUT


@pytest.mark.parametrize(
    "encoding", ["aws-chunked", "AWS-Chunked,", "UTF-8", "utf8", "binary", "none", "identity", "", "mp4", "7bit"]
)
@pytest.mark.parametrize("is_resumed", [False, True], ids=["whole", "resumed"])
async def test_a_coding_that_is_no_compression_leaves_the_bytes_as_they_are(
    download: Download, encoding: str, is_resumed: bool
) -> None:
    labelled = {**ETAG, "Content-Encoding": encoding}
    resumed = [cut(OUTPUT, 1000, labelled), rest(OUTPUT, 1000, labelled)]

    origin = await download(*(resumed if is_resumed else [whole(labelled)]))

    assert download.content == OUTPUT
    assert origin.asked[0].headers["accept-encoding"] == "identity"


@pytest.mark.parametrize("name", ["page.html", "PAGE.HTM", "page.xhtml"])
async def test_a_web_page_is_saved_under_a_name_of_one(download: Download, name: str) -> None:
    download.target = download.target.with_name(name)

    await download(reply(b"<!doctype html><p>Hello</p>", headers=HTML))

    assert download.content == b"<!doctype html><p>Hello</p>"


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
