"""A machine without a browser: tests that need one fail, and say what to do."""

from __future__ import annotations

import pytest

from .browsing import chromium


def test_a_browser_that_is_missing_is_a_failure_that_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CHROMIUM", raising=False)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(pytest.fail.Exception, match="apt-get install chromium"):
        chromium()


def test_a_browser_can_be_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHROMIUM", "/opt/chrome")
    assert chromium() == "/opt/chrome"
