"""Texts that are hard to quote, and the text of a refusal."""

from __future__ import annotations

import string
from collections.abc import Callable

import pytest
from hypothesis import strategies as st

from chamelaion_async.errors import ConfigurationError

__all__ = ["anything", "nasty", "refusal"]

anything = st.text(st.characters(exclude_categories=()))
nasty = st.text(st.sampled_from(string.ascii_letters[:3] + "./%25\\?#@:;&=+ \n\r\0é\ud800\u2025\uff0e"))


def refusal(call: Callable[[], object]) -> str:
    """Return what the ``ConfigurationError`` of a call says."""
    with pytest.raises(ConfigurationError) as caught:
        call()
    return str(caught.value)
