"""What an engine needs to know of the code under test."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import attrs


@attrs.frozen(kw_only=True)
class Target:
    """One property of the package, whose check raises where an input breaks it.

    It is looked for with inputs of the right form, the seeds, and with words that the code under test has an eye for.
    """

    name: str
    check: Callable[[bytes], None]
    seeds: Sequence[bytes]
    words: Sequence[bytes]
