"""The root of all errors; ``errors`` shows the tree."""

from __future__ import annotations

__all__ = ["ChamelaionError"]


class ChamelaionError(Exception):
    """The root of all errors of this package; ``except ChamelaionError`` catches every one of them."""

    def __reduce__(self) -> tuple[object, ...]:
        # The default would call the class with the text alone, which keyword-only arguments do not allow.
        return _rebuild, (type(self), self.args, self.__dict__.copy())


def _rebuild(kind: type[ChamelaionError], args: tuple[object, ...], state: dict[str, object]) -> ChamelaionError:
    error = kind.__new__(kind)
    error.args = args
    error.__dict__.update(state)
    return error
