"""All targets by name."""

from __future__ import annotations

from .addresses import ADDRESSES
from .decoding import DECODING
from .downloads import DOWNLOADS
from .failures import FAILURES
from .ranges import RANGES
from .retry_after import RETRY_AFTER
from .target import Target

TARGETS: dict[str, Target] = {
    target.name: target for target in (DECODING, FAILURES, RETRY_AFTER, ADDRESSES, RANGES, DOWNLOADS)
}
