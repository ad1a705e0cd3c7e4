"""Health and identity."""

from .answers import Answer, json_answer
from .calls import Call, Route


async def health(_call: Call) -> Answer:
    """GET /health."""
    return json_answer({"status": "ok"})


async def me(call: Call) -> Answer:
    """GET /v1/users/me."""
    return json_answer({"name": call.caller})


ROUTES = (
    Route(method="GET", template="/health", endpoint=health, needs_key=False),
    Route(method="GET", template="/v1/users/me", endpoint=me, lane="status"),
)
