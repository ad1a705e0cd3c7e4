"""A key that the service echoes, and all the places where an error could show it."""

from __future__ import annotations

import json
import pickle
import traceback
from collections.abc import Iterator
from contextlib import suppress

from chamelaion_async._http.headers import credential_headers
from chamelaion_async._http.secrets import Secret
from chamelaion_async.errors import ChamelaionError

KEY = "sk-live-5up3r53cr37_key-0123456789ab"
CREDENTIALS: dict[str, Secret] = credential_headers(KEY, None)

# Neither begins with a letter that an escape in a repr may end with.
_HALVES = ("sk-live-5up3r53cr37", "_key-0123456789ab")


def assert_nothing_leaks(error: ChamelaionError, *received: bytes) -> None:
    """Hold that neither the key nor a half of it is shown, unless only that half was received."""
    if not any(half.encode() in it or b"\\" in it for half in _HALVES for it in received):
        return  # what did not come cannot go out, and looking for it takes far longer than all the rest
    shown = [
        repr(error),
        repr(vars(error)),
        pickle.dumps(error).decode("latin-1"),
        *traceback.format_exception(error),
    ]
    text = "\n".join(shown)
    assert KEY not in text
    sent = "\n".join(form.replace(KEY, "") for it in received for form in _forms(it))
    for half in _HALVES:
        assert half in sent or half not in text


def _forms(received: bytes) -> Iterator[str]:
    """Yield what was received as it came, and without the escapes behind which a half of the key may hide."""
    yield received.decode("latin-1")
    for body in (received, received.decode("utf-8-sig", "replace").encode()):
        with suppress(ValueError, RecursionError):
            yield json.dumps(json.loads(body), ensure_ascii=False)
