"""JSON bodies of requests."""

import json
from typing import Any

from aiohttp import web

from .answers import JSON, ApiError

_LIMIT = 16 * 1024 * 1024


def invalid_body() -> ApiError:
    """Return the documented 400 for a body that does not fit."""
    return ApiError(400, "invalid request body")


def json_value(text: bytes | str) -> Any:
    """Return the value of a JSON text.

    Raises:
        ApiError: 400, if it is no JSON.
    """
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise invalid_body() from None


def json_object(text: bytes | str) -> dict[str, Any]:
    """Return the object of a JSON text.

    Raises:
        ApiError: 400, if it is no JSON object.
    """
    value = json_value(text)
    if not isinstance(value, dict):
        raise invalid_body()
    return value


async def invite_body(request: web.BaseRequest) -> None:
    """Answer a client that sends its body only after a 100 Continue (RFC 9110, 10.1.1)."""
    if request.headers.get("Expect", "").lower() == "100-continue":
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0  # as aiohttp's own handler does: no answer has begun


async def read_json(request: web.BaseRequest) -> dict[str, Any]:
    """Return the JSON object in a request's body.

    Args:
        request: not read yet.

    Raises:
        ApiError: 400, if the content type is another one, or the body is no JSON object or larger than 16 MiB.
    """
    if request.content_type != JSON:
        raise ApiError(400, "content-type must be application/json")
    await invite_body(request)
    body = bytearray()
    try:
        while piece := await request.content.readany():
            body += piece
            if len(body) > _LIMIT:
                raise invalid_body()
    except web.RequestPayloadError:
        raise invalid_body() from None
    return json_object(bytes(body))
