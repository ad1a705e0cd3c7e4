"""Names in a form: read alike by parsers that are not aiohttp's."""

from __future__ import annotations

import io
import os
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

import pytest
from python_multipart import parse_form
from werkzeug.formparser import MultiPartParser
from werkzeug.http import parse_options_header

from chamelaion_async import AsyncClient, AuthenticationError
from chamelaion_async._media.uploads import Upload

REFUSAL = b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 24\r\n\r\n" + b'{"error":"unauthorized"}'

EMPTY = b'{"data": [], "pagination": {"limit": 100, "offset": 0, "total": 0}}'
NO_JOBS = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(EMPTY), EMPTY)


class Part(NamedTuple):
    """A part of a form, as a parser reads it."""

    name: str
    file_name: str | None
    content: bytes


def by_werkzeug(content_type: str, body: bytes) -> list[Part]:
    """As Flask and Quart read a form."""
    boundary = parse_options_header(content_type)[1]["boundary"].encode()
    form, files = MultiPartParser().parse(io.BytesIO(body), boundary, len(body))
    texts = [Part(name, None, text.encode()) for name, text in form.items(multi=True)]
    parts = []
    for name, file in files.items(multi=True):
        with file.stream as stream:
            parts.append(Part(name, file.filename, stream.read()))
    return texts + parts


def by_python_multipart(content_type: str, body: bytes) -> list[Part]:
    """As FastAPI, Starlette and Litestar read a form."""
    parts: list[Part] = []

    def on_field(field: Any) -> None:
        parts.append(Part(field.field_name.decode(), None, field.value))

    def on_file(file: Any) -> None:
        file.file_object.seek(0)
        parts.append(Part(file.field_name.decode(), file.file_name.decode(), file.file_object.read()))

    headers = {"Content-Type": content_type.encode(), "Content-Length": str(len(body)).encode()}
    parse_form(headers, io.BytesIO(body), on_field, on_file)
    return parts


Parse = Callable[[str, bytes], list[Part]]
every_parser = pytest.mark.parametrize("parse", [by_werkzeug, by_python_multipart])
Post = Callable[[Callable[[AsyncClient], Awaitable[object]]], Awaitable[tuple[str, bytes]]]


@pytest.fixture
def post(raw_server: Callable[[Any], Awaitable[str]]) -> Post:
    """``await post(submit)`` gives the content type and the body that a submission sends."""

    async def captured(submit: Callable[[AsyncClient], Awaitable[object]]) -> tuple[str, bytes]:
        requests: list[bytes] = []

        async def exchange(request: bytes, writer: Any) -> None:
            is_post = request.startswith(b"POST ")
            writer.write(REFUSAL if is_post else NO_JOBS)
            if is_post:
                requests.append(request)

        async with AsyncClient("sk-key", base_url=await raw_server(exchange)) as client:
            with pytest.raises(AuthenticationError):
                await submit(client)
        head, _, body = requests[0].partition(b"\r\n\r\n")
        (content_type,) = (
            line.partition(b":")[2].strip().decode()
            for line in head.split(b"\r\n")
            if line.lower().startswith(b"content-type:")
        )
        return content_type, body

    return captured


async def sent_with(post: Post, file_name: str) -> tuple[str, bytes]:
    video = Upload(b"film", file_name=file_name)
    return await post(lambda client: client.lipsync.generate_with_media(video=video, audio=b"sound"))


# What is sent between the quotes, by name.
FILE_NAMES = {
    "film.mp4": "film.mp4",
    "für Élise.mp4": "für Élise.mp4",
    "映画　🎬 👨‍👩‍👧.mp4": "映画　🎬 👨‍👩‍👧.mp4",
    "e\u0301 and \u00a0.mp4": "e\u0301 and \u00a0.mp4",
    "100%25 + a;b=c, d'e.mp4": "100%25 + a;b=c, d'e.mp4",
    'a "quoted".mp4': "a %22quoted%22.mp4",
    'x"; name="audio': "x%22; name=%22audio",
    "two\r\nlines.mp4": "two%0D%0Alines.mp4",
    'x"\r\nX-Evil: 1\r\n\r\n.mp4': "x%22%0D%0AX-Evil: 1%0D%0A%0D%0A.mp4",
    "bell\a nul\0 tab\t del\x7f.mp4": "bell%07 nul%00 tab%09 del%7F.mp4",
    "a backslash \\ within.mp4": "a backslash \\ within.mp4",
    "a backslash at the end\\": "a backslash at the end%5C",
    os.fsdecode(b"caf\xe9.mp4"): "caf?.mp4",
}


@pytest.mark.parametrize(("file_name", "quoted"), FILE_NAMES.items(), ids=map(ascii, FILE_NAMES))
async def test_a_file_name_stands_in_quotes_as_browsers_write_it(post: Post, file_name: str, quoted: str) -> None:
    _, body = await sent_with(post, file_name)

    assert f'Content-Disposition: form-data; name="video"; filename="{quoted}"\r\n'.encode() in body


@every_parser
@pytest.mark.parametrize(("file_name", "quoted"), FILE_NAMES.items(), ids=map(ascii, FILE_NAMES))
async def test_every_parser_finds_the_file_whatever_its_name(
    post: Post, parse: Parse, file_name: str, quoted: str
) -> None:
    parts = {part.name: part for part in parse(*await sent_with(post, file_name))}

    assert {name: part.content for name, part in parts.items()} == {"video": b"film", "audio": b"sound"}
    if "\\" not in quoted:  # werkzeug takes it for an escape
        assert parts["video"].file_name in (quoted, quoted.replace("%22", '"'))


LANGUAGES = ["de", "pt-BR", "zh Hant", "português", "日本語", "a;b", 'the "German" one', "(de)", "100%"]


@every_parser
@pytest.mark.parametrize("language", LANGUAGES)
async def test_every_parser_reads_the_name_of_a_field(post: Post, parse: Parse, language: str) -> None:
    """Subtitles go under a name that holds their language."""
    sent = await post(
        lambda client: client.video_translate.generate_with_media(
            video=b"film", target_languages=[language], target_srts={language: b"1\n"}
        )
    )

    contents = {part.name: part.content for part in parse(*sent) if part.name.startswith("target_srt.")}
    assert contents in ({f"target_srt.{name}": b"1\n"} for name in (language, language.replace('"', "%22")))


@every_parser
async def test_every_parser_reads_the_texts(post: Post, parse: Parse) -> None:
    sent = await post(
        lambda client: client.lipsync.generate_with_media(
            video=b"film", audio=b"sound", reference_id="für 日本 +&%22", disable_active_speaker_detection=True
        )
    )

    texts = {part.name: part.content.decode() for part in parse(*sent) if part.file_name is None}
    assert texts == {"reference_id": "für 日本 +&%22", "disable_active_speaker_detection": "true"}
