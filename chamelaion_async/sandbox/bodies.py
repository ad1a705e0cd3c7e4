"""Request bodies, read no further than they make sense."""

from typing import Any

from aiohttp import web

from .answers import JSON, ApiError
from .validation import invalid_body, json_object

_LIMIT = 16 * 1024 * 1024


async def invite_body(request: web.BaseRequest) -> None:
    """Tell a client that waits for it (RFC 9110, 10.1.1) to go on and send the body."""
    if request.headers.get("Expect", "").lower() == "100-continue":
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0


async def read_json(request: web.BaseRequest) -> dict[str, Any]:
    """Return the JSON object in a request's body.

    Args:
        request: not read yet.

    Raises:
        ApiError: 400, if the content type is another one, or the body no JSON object or beyond all measure.
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
