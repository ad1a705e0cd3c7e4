"""The short form: some thousand almost right inputs, the same ones in every run, and proof that they find faults."""

from __future__ import annotations

import re
from collections.abc import Iterable
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chamelaion_async import errors
from chamelaion_async._http import addresses, answers, transport
from chamelaion_async._media import partial_file, ranges, targets

from .leaks import KEY
from .mutation import MAX_SIZE, mutant
from .targets import TARGETS

EXAMPLES = dict.fromkeys(TARGETS, 400) | {"downloads": 40}


@pytest.fixture(params=["speed", "plain"])
def decoder(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Decode with the extra ``speed`` and without it."""
    if request.param == "plain":
        monkeypatch.setattr(answers, "_fast_loads", lambda: answers._loads_utf8)
    else:
        assert answers._fast_loads() is not answers._loads_utf8


@pytest.mark.usefixtures("decoder")
@pytest.mark.parametrize(
    ("name", "seed"),
    [pytest.param(name, seed, id=f"{name}-{n}") for name in TARGETS for n, seed in enumerate(TARGETS[name].seeds)],
)
def test_a_seed_keeps_the_property(name: str, seed: bytes) -> None:
    TARGETS[name].check(seed)


@pytest.mark.parametrize("name", TARGETS)
def test_no_input_breaks_the_property(name: str) -> None:
    @settings(
        max_examples=EXAMPLES[name],
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(random=st.randoms(use_true_random=False))
    def check(random: Random) -> None:
        TARGETS[name].check(mutant(random, TARGETS[name]))

    check()


@pytest.mark.usefixtures("decoder")
def test_no_body_breaks_the_property_with_either_decoder() -> None:
    random = Random(7)
    for _ in range(2000):
        TARGETS["decoding"].check(mutant(random, TARGETS["decoding"]))


def unmasked(value: Any, secrets: Iterable[str]) -> Any:
    return value


@pytest.mark.parametrize(
    ("name", "where", "what", "fault"),
    [
        ("decoding", transport, "redact", unmasked),
        ("decoding", transport, "redact_body", unmasked),
        ("decoding", transport, "_EXCERPT", MAX_SIZE),
        ("decoding", transport, "MAX_REASON", MAX_SIZE),
        ("decoding", transport, "structure_hook", lambda model: lambda data: data),
        ("failures", answers, "redact", unmasked),
        ("failures", answers, "redact_headers", unmasked),
        ("failures", answers, "redact_json", unmasked),
        ("failures", answers, "_MAX_MESSAGE", MAX_SIZE),
        ("failures", errors, "STATUS_ERRORS", {}),
        ("retry-after", answers, "_DELAY_SECONDS", re.compile(r"-?\d+(\.\d+)?")),
        ("retry-after", answers, "_DELAY_SECONDS", re.compile(r"[\d.eE+-]+", re.ASCII)),
        ("addresses", addresses, "_PLAIN_ID", re.compile(r"[^?#]{1,512}")),
        ("addresses", addresses, "_encodable", str),
        ("addresses", addresses, "is_host", bool),
        ("addresses", addresses, "shown", str),
        ("addresses", targets, "_shortened", str),
        ("ranges", ranges, "_validator", lambda headers: headers.get("ETag")),
        ("ranges", ranges, "_CONTENT_RANGE", re.compile(r"bytes \D*(\d{1,9})\D+(\d{1,9})\D*(\d{1,9}|\*)")),
        ("ranges", ranges, "_CONTENT_RANGE", re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)")),
        ("downloads", partial_file.Part, "_close", lambda part: part._file.close()),
    ],
)
def test_the_search_finds_a_fault(
    name: str, where: Any, what: str, fault: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert hasattr(where, what)
    monkeypatch.setattr(where, what, fault)
    random, target = Random(1), TARGETS[name]
    inputs = [*target.seeds, *(mutant(random, target) for _ in range(3000 if name != "downloads" else 0))]

    assert any(not keeps(name, data) for data in inputs)


def keeps(name: str, data: bytes) -> bool:
    try:
        TARGETS[name].check(data)
    except Exception:  # noqa: BLE001 - any exception is what an engine takes for a find
        return False
    return True


@pytest.mark.parametrize("name", ["decoding", "failures"])
def test_the_key_comes_with_some_bodies(name: str) -> None:
    random = Random(6)

    assert sum(KEY.encode() in mutant(random, TARGETS[name]) for _ in range(500)) > 10


def test_a_good_part_of_the_bodies_can_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bodies that are all refused as no JSON would try nothing that comes after."""
    random, structured = Random(8), 0
    structure_hook = answers.structure_hook

    def counted(model: Any) -> Any:
        nonlocal structured
        structured += 1
        return structure_hook(model)

    monkeypatch.setattr(transport, "structure_hook", counted)
    for _ in range(500):
        TARGETS["decoding"].check(mutant(random, TARGETS["decoding"]))

    assert structured > 150
