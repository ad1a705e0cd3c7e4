"""Ranges and validators: only bytes of the same version continue a part (RFC 9110, sections 8.8, 13.1.5 and 14)."""

from __future__ import annotations

import json

import aiohttp
import pytest

from chamelaion_async.sandbox import Sandbox

from .origin import (
    ETAG,
    NOW,
    OLD,
    OTHER,
    OUTPUT,
    Download,
    Reply,
    cut,
    finished,
    partial_content,
    reply,
    rest,
    whole,
)

SIZE = len(OUTPUT)
V2 = {"ETag": '"v2"'}


@pytest.mark.parametrize(
    ("headers", "if_range"),
    [(ETAG, '"v1"'), ({"Last-Modified": OLD}, OLD), ({**ETAG, "Last-Modified": OLD}, '"v1"')],
    ids=["ETag", "Last-Modified that is old enough", "both"],
)
async def test_a_resumed_download_sends_the_validator_and_counts_what_is_there(
    download: Download, headers: dict[str, str], if_range: str
) -> None:
    seen: list[tuple[int, int | None]] = []

    origin = await download(
        cut(OUTPUT, 1000, headers), rest(OUTPUT, 1000, headers), on_progress=lambda *each: seen.append(each)
    )

    assert (origin.asked[1].headers["range"], origin.asked[1].headers["if-range"]) == ("bytes=1000-", if_range)
    assert (download.content, seen[0], seen[-1]) == (OUTPUT, (1000, SIZE), (SIZE, SIZE))
    assert seen == sorted(seen)


UNIDENTIFIED: dict[str, dict[str, str]] = {
    "nothing": {},
    "weak ETag": {"ETag": 'W/"v1"'},
    "weak ETag beside a date": {"ETag": 'W/"v1"', "Last-Modified": OLD},
    "date that may still change": {"Last-Modified": NOW},
    "date that is none": {"Last-Modified": "yesterday"},
    "ETag without quotes": {"ETag": "v1"},
}
every_unidentified = pytest.mark.parametrize("headers", UNIDENTIFIED.values(), ids=UNIDENTIFIED.keys())


@every_unidentified
async def test_an_output_without_a_validator_starts_over_within_the_call(
    download: Download, headers: dict[str, str]
) -> None:
    origin = await download(cut(OTHER, 1000, headers), whole(headers))

    assert "range" not in origin.asked[1].headers
    assert download.content == OUTPUT


@every_unidentified
async def test_an_output_without_a_validator_leaves_no_part(download: Download, headers: dict[str, str]) -> None:
    await download.fails(cut(OUTPUT, 1000, headers), match="Nothing was left")

    assert download.names == []


async def test_an_output_that_changes_within_a_call_starts_over(download: Download) -> None:
    origin = await download(
        cut(OUTPUT, 300_000, ETAG),
        cut(OTHER, 200_000, V2),
        lambda asked: rest(OTHER, asked.resumes_at, V2),
    )

    assert origin.asked[2].headers["if-range"] == '"v2"'
    assert download.content == OTHER


async def test_a_server_that_ignores_ranges_starts_over(download: Download) -> None:
    await download(cut(OUTPUT, 300_000, ETAG), whole())

    assert download.content == OUTPUT


WRONG_PARTS: dict[str, Reply] = {
    "another start": partial_content(OUTPUT[500:], f"bytes 500-{SIZE - 1}/{SIZE}"),
    "the beginning once more": partial_content(OUTPUT[:-1000], f"bytes 0-{SIZE - 1001}/{SIZE}"),
    "no Content-Range": partial_content(OUTPUT[1000:], None),
    "garbled Content-Range": partial_content(OUTPUT[1000:], "bytes 1000-"),
    "another unit": partial_content(OUTPUT[1000:], "frames 1000-9999/9999"),
    "another ETag": rest(OTHER, 1000, V2),
    "too many bytes": partial_content(OUTPUT[1000:] + b"more", f"bytes 1000-{SIZE - 1}/{SIZE}"),
    "another total": partial_content(OUTPUT[1000:5000], "bytes 1000-4999/4000"),
}


@pytest.mark.parametrize("wrong", WRONG_PARTS.values(), ids=WRONG_PARTS.keys())
async def test_a_range_that_was_not_asked_for_starts_over(download: Download, wrong: Reply) -> None:
    origin = await download(cut(OUTPUT, 1000, ETAG), wrong, whole())

    assert "range" not in origin.asked[2].headers
    assert download.content == OUTPUT


@pytest.mark.parametrize("total", [str(SIZE), "*"], ids=["known total", "unknown total"])
async def test_a_range_that_ends_too_early_is_followed_by_the_rest(download: Download, total: str) -> None:
    middle = partial_content(OUTPUT[1000:5000], f"bytes 1000-4999/{total}")

    origin = await download(cut(OUTPUT, 1000, ETAG), middle, rest(OUTPUT, 5000))

    assert origin.asked[2].headers["range"] == "bytes=5000-"
    assert download.content == OUTPUT


@pytest.mark.parametrize("unit", ["bytes ", "Bytes ", "BYTES ", "bytes  ", "bytes\t"])
async def test_a_range_is_one_however_its_unit_is_written(download: Download, unit: str) -> None:
    """Units are compared without regard to case (RFC 9110, section 14.1)."""
    origin = await download(cut(OUTPUT, 1000, ETAG), partial_content(OUTPUT[1000:], f"{unit}1000-{SIZE - 1}/{SIZE}"))

    assert (download.content, len(origin.asked)) == (OUTPUT, 2)


async def test_a_range_that_no_one_asked_for_is_no_whole_output(download: Download) -> None:
    await download.fails(rest(OUTPUT, 1000))

    assert download.content is None


def unsatisfied(headers: dict[str, str]) -> Reply:
    return reply(b"", "416 Range Not Satisfiable", headers)


@pytest.mark.parametrize("unit", ["bytes ", "Bytes "])
async def test_416_for_a_part_that_is_the_whole_output_completes_it(download: Download, unit: str) -> None:
    download.left_behind(OUTPUT)

    origin = await download(unsatisfied({"Content-Range": f"{unit}*/{SIZE}"}), reply(OTHER))

    assert (download.content, len(origin.asked)) == (OUTPUT, 1)


@pytest.mark.parametrize(
    ("data", "headers"),
    [
        (OTHER[:1000], {}),
        (OTHER[:1000], {"Content-Range": "bytes */999"}),
        (OTHER[:1000], {"Content-Range": "nonsense"}),
        # A server that knows no If-Range refuses the range of an output that has changed and kept its length.
        (OTHER, {"Content-Range": f"bytes */{SIZE}", **V2}),
    ],
    ids=["no length", "another length", "nonsense", "another validator"],
)
async def test_any_other_416_starts_over(download: Download, data: bytes, headers: dict[str, str]) -> None:
    download.left_behind(data)

    origin = await download(unsatisfied(headers), whole())

    assert "range" not in origin.asked[1].headers
    assert download.content == OUTPUT


async def test_a_part_that_is_longer_than_the_output_starts_over(download: Download, sandbox: Sandbox) -> None:
    request = await finished(sandbox)
    async with aiohttp.ClientSession() as session, session.get(str(request.output_url)) as response:
        etag = response.headers["ETag"]
    download.left_behind(OUTPUT + b"more", json.dumps({"validator": etag}).encode())

    await download.client.download(request, download.target)

    assert download.content == OUTPUT
