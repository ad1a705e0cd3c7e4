"""Ranges and validators: only bytes of the same version continue a part (RFC 9110, sections 8.8, 13.1.5 and 14)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import pytest

from .origin import ETAG, NOW, OLD, OTHER, OUTPUT, Answer, Download, Reply, cut, partial_content, reply, rest, whole

SIZE = len(OUTPUT)
V2 = {"ETag": '"v2"'}
BEGINNING = cut(OUTPUT, 1000, ETAG)


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


@pytest.mark.parametrize("headers", UNIDENTIFIED.values(), ids=UNIDENTIFIED.keys())
async def test_an_output_without_a_validator_starts_over_and_leaves_no_part(
    download: Download, headers: dict[str, str]
) -> None:
    origin = await download(cut(OTHER, 1000, headers), whole(headers))
    assert (origin.asked[1].resumes_at, download.content) == (0, OUTPUT)

    await download.fails(cut(OTHER, 1000, headers), match="Nothing was left", overwrite=True)
    assert download.names == ["film.mp4"]


class Case(NamedTuple):
    """Answers, and where the range of each request begins; all of them bring the output in the end."""

    answers: Sequence[Answer]
    starts: list[int]
    left_behind: bytes | None = None


def unsatisfied(headers: dict[str, str]) -> Reply:
    return reply(b"", "416 Range Not Satisfiable", headers)


CONTINUED = {
    f"unit written as {unit!r}": Case(
        [BEGINNING, partial_content(OUTPUT[1000:], f"{unit}1000-{SIZE - 1}/{SIZE}")], [0, 1000]
    )
    for unit in ("bytes ", "Bytes ", "BYTES ", "bytes  ", "bytes\t")
} | {
    f"early end, total {total}": Case(
        [BEGINNING, partial_content(OUTPUT[1000:5000], f"bytes 1000-4999/{total}"), rest(OUTPUT, 5000)],
        [0, 1000, 5000],
    )
    for total in (SIZE, "*")
}
COMPLETE = {
    f"416 with {unit!r}": Case([unsatisfied({"Content-Range": f"{unit}*/{SIZE}"})], [SIZE], OUTPUT)
    for unit in ("bytes ", "Bytes ")
}
STARTED_OVER = (
    {
        "200 for a range": Case([BEGINNING, whole()], [0, 1000]),
        "another version, twice": Case(
            [cut(OTHER, 9000, V2), cut(OUTPUT, 1000, ETAG), rest(OUTPUT, 1000)], [0, 9000, 1000]
        ),
        "part longer than the output": Case(
            [unsatisfied({"Content-Range": f"bytes */{SIZE}"}), whole()], [SIZE + 4, 0], OUTPUT + b"more"
        ),
    }
    | {
        f"206 with {what}": Case([BEGINNING, wrong, whole()], [0, 1000, 0])
        for what, wrong in {
            "another start": partial_content(OUTPUT[500:], f"bytes 500-{SIZE - 1}/{SIZE}"),
            "the beginning once more": partial_content(OUTPUT[:-1000], f"bytes 0-{SIZE - 1001}/{SIZE}"),
            "no Content-Range": partial_content(OUTPUT[1000:], None),
            "garbled Content-Range": partial_content(OUTPUT[1000:], "bytes 1000-"),
            "another unit": partial_content(OUTPUT[1000:], "frames 1000-9999/9999"),
            "another ETag": rest(OTHER, 1000, V2),
            "too many bytes": partial_content(OUTPUT[1000:] + b"more", f"bytes 1000-{SIZE - 1}/{SIZE}"),
            "another total": partial_content(OUTPUT[1000:5000], "bytes 1000-4999/4000"),
        }.items()
    }
    | {
        f"416 with {what}": Case([unsatisfied(headers), whole()], [len(data), 0], data)
        for what, (data, headers) in {
            "no length": (OTHER[:1000], {}),
            "another length": (OTHER[:1000], {"Content-Range": "bytes */999"}),
            "nonsense": (OTHER[:1000], {"Content-Range": "nonsense"}),
            # A server that knows no If-Range refuses the range of an output that has changed and kept its length.
            "another validator": (OTHER, {"Content-Range": f"bytes */{SIZE}", **V2}),
        }.items()
    }
)


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(case, id=f"{kind}: {name}")
        for kind, cases in {"continued": CONTINUED, "complete": COMPLETE, "started over": STARTED_OVER}.items()
        for name, case in cases.items()
    ],
)
async def test_an_answer_continues_the_part_completes_it_or_starts_over(download: Download, case: Case) -> None:
    if case.left_behind is not None:
        download.left_behind(case.left_behind)

    origin = await download(*case.answers)

    assert download.content == OUTPUT
    assert [asked.resumes_at for asked in origin.asked] == case.starts


async def test_a_range_that_was_not_asked_for_is_no_whole_output(download: Download) -> None:
    await download.fails(rest(OUTPUT, 1000))

    assert download.content is None
