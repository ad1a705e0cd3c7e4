"""How a command is ended from outside, where no service is needed for it."""

from __future__ import annotations

import signal
from concurrent.futures import ThreadPoolExecutor

import pytest

from chamelaion_async.cli.signals import ending_on_sigterm


def test_sigterm_ends_even_what_ignores_sigint() -> None:
    """So a shell script runs what it puts into the background."""
    before = signal.getsignal(signal.SIGTERM)
    ignored = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with ending_on_sigterm() as ending, pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGTERM)
    finally:
        signal.signal(signal.SIGINT, ignored)
    assert ending.is_terminated
    assert signal.getsignal(signal.SIGTERM) == before


def test_another_thread_leaves_signals_alone() -> None:
    def inside() -> object:
        with ending_on_sigterm() as ending:
            assert not ending.is_terminated
            return signal.getsignal(signal.SIGTERM)

    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(inside).result(10) == signal.getsignal(signal.SIGTERM)
