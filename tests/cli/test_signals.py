"""SIGTERM as an interrupt, in the cases that no command shows."""

from __future__ import annotations

import signal
from concurrent.futures import ThreadPoolExecutor

import pytest

from chamelaion_async.cli._ui.signals import sigterm_as_interrupt


def test_sigterm_interrupts_where_sigint_is_ignored() -> None:
    """A shell script starts its background processes with SIGINT ignored."""
    before = signal.getsignal(signal.SIGTERM)
    ignored = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with sigterm_as_interrupt() as sigterm, pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGTERM)
    finally:
        signal.signal(signal.SIGINT, ignored)
    assert sigterm.is_received
    assert signal.getsignal(signal.SIGTERM) == before


def test_another_thread_sets_no_handlers() -> None:
    def inside() -> object:
        with sigterm_as_interrupt() as sigterm:
            assert not sigterm.is_received
            return signal.getsignal(signal.SIGTERM)

    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(inside).result(10) == signal.getsignal(signal.SIGTERM)
