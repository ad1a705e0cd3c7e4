"""Policies: their documented defaults, and a refusal of every value that cannot work."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Any

import attrs
import pytest

from chamelaion_async.config import ENVIRONMENTS, Pace, PollPolicy, RetryPolicy, check_callback
from chamelaion_async.errors import ConfigurationError

Policy = type[Any]
POLICIES: list[Policy] = [RetryPolicy, PollPolicy, Pace]

DEFAULTS: dict[Policy, dict[str, Any]] = {
    RetryPolicy: {"attempts": 3, "initial": 0.5, "max": 8.0, "max_retry_after": 60.0},
    PollPolicy: {
        "min_interval": 1.0,
        "max_interval": 12.0,
        "age_factor": 0.1,
        "jitter": 0.1,
        "request_timeout": 20.0,
        "max_retry_after": 60.0,
        "outage_budget": 120.0,
        "not_found_grace": 5.0,
        "learn": True,
        "prime": False,
        "wait": None,
    },
    Pace: {"max_rate": None, "max_concurrency": 100},
}
COUNTS = {"attempts", "max_concurrency"}
POSITIVE = {"request_timeout", "max_rate"}
OPTIONAL = {"max_rate", "wait"}
FLAGS = {"learn", "prime"}

NUMBERS = [
    (policy, field.name)
    for policy in POLICIES
    for field in attrs.fields(policy)
    if field.name not in FLAGS | {"wait"}
]
NEVER_A_NUMBER = [-1, -0.001, math.nan, math.inf, -math.inf, True, False, "1", b"1", Decimal(1), [1], 1j]
REFUSED: list[tuple[Policy, str, object]] = [
    *((policy, name, bad) for policy, name in NUMBERS for bad in NEVER_A_NUMBER),
    *((policy, name, None) for policy, name in NUMBERS if name not in OPTIONAL),
    *((policy, name, bad) for policy, name in NUMBERS if name in COUNTS for bad in (0, 1.0, 2.5)),
    *((policy, name, 10**400) for policy, name in NUMBERS if name not in COUNTS),  # beyond every float
    *((policy, name, 0) for policy, name in NUMBERS if name in POSITIVE),
    *((PollPolicy, "jitter", bad) for bad in (1.001, 2)),
    *((PollPolicy, "wait", bad) for bad in (1.0, "soon", 0, False, object())),
    *((PollPolicy, name, bad) for name in sorted(FLAGS) for bad in (None, 0, 1, "yes")),
]


@pytest.mark.parametrize("policy", POLICIES)
def test_defaults_are_those_of_the_design(policy: Policy) -> None:
    assert attrs.asdict(policy()) == DEFAULTS[policy]


@pytest.mark.parametrize(("policy", "name", "bad"), REFUSED)
def test_a_value_that_cannot_work_is_refused_by_name(policy: Policy, name: str, bad: object) -> None:
    with pytest.raises(ConfigurationError, match=rf"^{name} must"):
        policy(**{name: bad})
    with pytest.raises(ConfigurationError, match=rf"^{name} must"):
        attrs.evolve(policy(), **{name: bad})


@pytest.mark.parametrize(
    ("policy", "changes"),
    [
        (RetryPolicy, {"attempts": 1}),
        (RetryPolicy, {"initial": 0}),
        (RetryPolicy, {"initial": 0, "max": 0}),
        (RetryPolicy, {"initial": 8.0}),
        (RetryPolicy, {"max_retry_after": 0}),
        (PollPolicy, {"min_interval": 0}),
        (PollPolicy, {"min_interval": 12}),
        (PollPolicy, {"min_interval": 0, "max_interval": 0}),
        (PollPolicy, {"age_factor": 0}),
        (PollPolicy, {"age_factor": 3}),
        (PollPolicy, {"jitter": 0}),
        (PollPolicy, {"jitter": 1}),
        (PollPolicy, {"outage_budget": 0}),
        (PollPolicy, {"not_found_grace": 0}),
        (PollPolicy, {"wait": lambda state: 1.0}),
        (PollPolicy, {"wait": None}),
        (Pace, {"max_rate": 0.01}),
        (Pace, {"max_rate": None}),
        (Pace, {"max_concurrency": 1}),
    ],
)
def test_a_value_at_its_bound_is_accepted(policy: Policy, changes: dict[str, Any]) -> None:
    assert attrs.asdict(policy(**changes)) == DEFAULTS[policy] | changes


@pytest.mark.parametrize(
    ("policy", "changes", "names"),
    [
        (RetryPolicy, {"initial": 8.5}, ("initial", "max")),
        (RetryPolicy, {"initial": 2, "max": 1}, ("initial", "max")),
        (PollPolicy, {"min_interval": 12.5}, ("min_interval", "max_interval")),
        (PollPolicy, {"max_interval": 0.5}, ("min_interval", "max_interval")),
    ],
)
def test_a_lower_bound_above_the_upper_is_refused_with_both_names(
    policy: Policy, changes: dict[str, Any], names: tuple[str, str]
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        policy(**changes)
    assert all(name in str(caught.value) for name in names)


@pytest.mark.parametrize("policy", POLICIES)
def test_a_policy_takes_keywords_only(policy: Policy) -> None:
    with pytest.raises(TypeError, match="positional"):
        policy(1)


@pytest.mark.parametrize(("policy", "name"), NUMBERS)
def test_a_policy_is_frozen(policy: Policy, name: str) -> None:
    made = policy()
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        setattr(made, name, 1)


@pytest.mark.parametrize("policy", POLICIES)
def test_equal_policies_are_one_in_a_set(policy: Policy) -> None:
    assert len({policy(), policy()}) == 1


def test_the_environments_are_the_documented_servers() -> None:
    assert dict(ENVIRONMENTS) == {
        "production": "https://api.chamelaion.com/api",
        "staging": "https://api.dev.chamelaion.com/api",
    }


def test_a_coroutine_function_is_refused_where_it_would_never_be_awaited() -> None:
    async def later(*_: object) -> None:
        raise AssertionError("it is not called")

    with pytest.raises(ConfigurationError, match="on_progress must be a plain function"):
        check_callback("on_progress", later)
