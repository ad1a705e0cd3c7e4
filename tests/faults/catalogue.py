"""Every fault."""

from __future__ import annotations

from typing import Final

from . import answers, bodies, connections, lists, statuses, surroundings

CATALOGUE: Final = (*connections.ROWS, *answers.ROWS, *bodies.ROWS, *statuses.ROWS, *lists.ROWS, *surroundings.ROWS)
