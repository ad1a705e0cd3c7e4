"""Every way of failing that gives the key back to the client, or that comes before anything is given back."""

from __future__ import annotations

import json
from typing import Final

from .connections import HANG, Respond
from .key import KEY, TOKEN


def _answer(status: str, body: bytes, **headers: str) -> bytes:
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    return f"HTTP/1.1 {status}\r\n{lines}Content-Length: {len(body)}\r\n\r\n".encode() + body


_BOTH: Final = f"{KEY} and {TOKEN}"
_HEADERS: Final = {"X_Key": KEY, "X_Auth": f"Bearer {TOKEN}", "Retry_After": "0"}
_RECORD: Final = {"id": _BOTH, "status": "processing", "created_at": KEY, "reference_id": TOKEN, KEY: TOKEN}


def _refusal(status: str) -> Respond:
    body = json.dumps({"error": f"who is {_BOTH}?", KEY: [TOKEN]}).encode()
    return lambda _: _answer(status, body, **_HEADERS)


FAILURES: Final[dict[str, Respond]] = {
    "refused connection": lambda _: ConnectionRefusedError(111, "refused"),
    "reset": lambda _: ConnectionResetError(104, "reset"),
    "no answer": lambda _: HANG,
    "400": _refusal("400 Bad Request"),
    "401": _refusal("401 Unauthorized"),
    "404": _refusal("404 Not Found"),
    "412": _refusal("412 Precondition Failed"),
    "429": _refusal("429 Too Many Requests"),
    "500": _refusal("500 Internal Server Error"),
    "the request as an answer of 401": lambda request: _answer("401 Unauthorized", request, **_HEADERS),
    "the request as an answer of 500": lambda request: _answer("500 Oops", request, **_HEADERS),
    "the request as an answer of 200": lambda request: _answer("200 OK", request, **_HEADERS),
    "the request in place of HTTP": lambda request: request,
    "a status line with the key": lambda _: f"HTTP/1.1 2x0 {_BOTH}\r\n\r\n".encode(),
    "a header with the key": lambda _: f"HTTP/1.1 200 OK\r\nbad name {KEY}: {TOKEN}\r\n\r\n".encode(),
    "a redirect with the key": lambda _: _answer(
        "307 Temporary Redirect", b"", Location=f"https://elsewhere.test/{KEY}?token={TOKEN}"
    ),
    "a record of keys": lambda _: _answer("200 OK", json.dumps(_RECORD).encode(), **_HEADERS),
    "a page of keys": lambda _: _answer(
        "200 OK",
        json.dumps({"data": [_RECORD, KEY], "voices": [_RECORD], "pagination": {"limit": KEY, "total": 1}}).encode(),
    ),
    "a body that breaks off": lambda request: (
        b"HTTP/1.1 500 Oops\r\nContent-Length: 100000\r\nX-Key: %s\r\n\r\n%s" % (KEY.encode(), request)
    ),
    "a body that is too large": lambda request: _answer("200 OK", request + b" " * 9_000_000),
}


def honest(respond: Respond) -> Respond:
    """Give back no secret that has not come: a download carries none."""

    def give_back(request: bytes) -> bytes | Exception:
        answer = respond(request)
        for secret in (KEY.encode(), TOKEN.encode()):
            if isinstance(answer, bytes) and secret not in request:
                answer = answer.replace(secret, b"?" * len(secret))
        return answer

    return give_back
