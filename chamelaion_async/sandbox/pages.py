"""Pages of lists: limit and offset in, data and pagination out."""

from collections.abc import Mapping

from attrs import frozen

from .answers import ApiError

DEFAULT_LIMIT = 20
"""The documented page size where the client names none."""


@frozen(kw_only=True)
class Window:
    """Which part of a list to show.

    Args:
        limit: page size applied.
        offset: how many to leave out.
    """

    limit: int
    offset: int

    def pagination(self, total: int) -> dict[str, int]:
        """Return the pagination object of a page.

        Args:
            total: number of matching records.
        """
        return {"limit": self.limit, "offset": self.offset, "total": total}


def page_window(query: Mapping[str, str], *, cap: int) -> Window:
    """Return the window that a query asks for.

    Assumed: a limit beyond the cap is lowered to it, and anything that is no such number is a 400.

    Args:
        query: of the request.
        cap: largest page size.

    Raises:
        ApiError: 400.
    """
    return Window(
        limit=min(cap, _number(query, "limit", least=1, default=DEFAULT_LIMIT)),
        offset=_number(query, "offset", least=0, default=0),
    )


def _number(query: Mapping[str, str], name: str, *, least: int, default: int) -> int:
    text = query.get(name)
    if text is None:
        return default
    # However large a number is, it is one; int() has an error of its own for very many digits.
    if not (text.isascii() and text.isdigit() and len(text) <= 1000) or int(text) < least:
        raise ApiError(400, f"invalid {name}")
    return int(text)
