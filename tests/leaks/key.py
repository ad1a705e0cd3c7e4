"""A key, and the search for it in whatever an error, a log or a request may show."""

from __future__ import annotations

import base64
import copy
import logging
import pickle
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import attrs

KEY: Final = "sk-live/5up3r+53cr37=key"
TOKEN: Final = "tok-live/70p+53cr37=token"

_TESTS: Final = Path(__file__).parent.parent


def _forms(secret: str) -> Iterator[str]:
    """Yield what a secret may look like: as it is, in a URL, in hexadecimal digits, in base64 within other text."""
    yield from (secret, quote(secret), quote(secret, safe=""), secret.encode().hex())
    for lead in range(3):
        encoded = base64.b64encode(b"_" * lead + secret.encode())
        # The ends depend on what stands around it.
        yield from {form[4:-4].decode() for form in (encoded, encoded.translate(bytes.maketrans(b"+/", b"-_")))}


_FORMS: Final = tuple(form for secret in (KEY, TOKEN) for form in _forms(secret))


def leaks(text: str) -> list[str]:
    """Return the lines that show a secret, shortened to where it stands."""
    found = []
    for line in text.splitlines():
        for form in _FORMS:
            if (at := line.find(form)) >= 0:
                found.append(f"{line[:160]} … {line[max(at - 60, 0) : at + len(form)]}")
                break
    return found


def everything(error: BaseException) -> str:
    """Return all that an error may show of itself, of the errors it holds, and of the frames they came through."""
    shown: list[str] = []
    for link in _links(error):
        shown += [repr(link), str(link), repr(link.args), repr(vars(link)), *getattr(link, "__notes__", [])]
        shown += _frames(link)
        if link is error or type(link).__module__.startswith("chamelaion_async"):
            shown += _duplicates(link)
    shown += traceback.TracebackException.from_exception(error).format(chain=True)
    return "\n".join(shown)


def _links(error: BaseException) -> list[BaseException]:
    """Return an error with its causes, contexts and last errors, and those of a group."""
    found: dict[int, BaseException] = {}
    todo: list[object] = [error]
    while todo:
        link = todo.pop()
        if isinstance(link, BaseException) and id(link) not in found:
            found[id(link)] = link
            todo += (link.__cause__, link.__context__, *vars(link).values(), *getattr(link, "exceptions", ()))
    return [*found.values()]


def _frames(error: BaseException) -> Iterator[str]:
    """Yield the local variables that error trackers send home, but for those of the tests."""
    for frame, line in traceback.walk_tb(error.__traceback__):
        file = Path(frame.f_code.co_filename)
        if _TESTS not in file.parents:
            where = f"{file.name}:{line} {frame.f_code.co_name}"
            yield from (f"{where}: {name} = {_safe_repr(value)}" for name, value in frame.f_locals.items())


def _safe_repr(value: object) -> str:
    try:
        return repr(value)
    except Exception as error:  # noqa: BLE001 - as error trackers do
        return f"<{type(error).__name__}>"


def _duplicates(error: BaseException) -> Iterator[str]:
    for protocol in (0, pickle.HIGHEST_PROTOCOL):
        pickled = pickle.dumps(error, protocol)
        yield pickled.decode("latin-1")
        yield repr(vars(pickle.loads(pickled)))
    for duplicate in (copy.copy(error), copy.deepcopy(error)):
        yield f"{duplicate!r} {vars(duplicate)!r}"


@attrs.define
class Seen:
    """What was logged and warned of."""

    lines: list[str] = attrs.Factory(list)


class _Everything(logging.Handler):
    def __init__(self, seen: Seen) -> None:
        super().__init__(logging.DEBUG)
        self._seen = seen

    def emit(self, record: logging.LogRecord) -> None:
        self._seen.lines.append(f"{self.format(record)} {vars(record)!r}")
        error = record.exc_info[1] if record.exc_info else None
        if error is not None:
            self._seen.lines.append(everything(error))


@contextmanager
def watching() -> Iterator[Seen]:
    """Record what every logger logs at every level, and all warnings."""
    seen = Seen()
    handler = _Everything(seen)
    loggers: list[Any] = [logging.getLogger(), *map(logging.getLogger, logging.root.manager.loggerDict)]
    levels = [logger.level for logger in loggers]
    logging.root.addHandler(handler)
    for logger in loggers:
        logger.setLevel(logging.DEBUG)
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            yield seen
            seen.lines += [str(warning) for warning in caught]
    finally:
        logging.root.removeHandler(handler)
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
