"""Policies: the promised defaults, and a refusal of every number that cannot work."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Any

import attrs
import pytest

from chamelaion_async.config import ENVIRONMENTS, Pace, PollPolicy, RetryPolicy
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
        "wait": None,
    },
    Pace: {"max_rate": None, "max_concurrency": 100},
}
COUNTS = {"attempts", "max_concurrency"}
POSITIVE = {"request_timeout", "max_rate"}
OPTIONAL = {"max_rate", "wait"}

NUMBERS = [
    pytest.param(policy, field.name, id=f"{policy.__name__}.{field.name}")
    for policy in POLICIES
    for field in attrs.fields(policy)
    if field.name != "wait"
]
QUANTITIES = [parameter for parameter in NUMBERS if parameter.values[1] not in COUNTS]
WHOLE = [parameter for parameter in NUMBERS if parameter.values[1] in COUNTS]

NEVER_A_NUMBER = [-1, -0.001, math.nan, math.inf, -math.inf, True, False, "1", b"1", Decimal(1), [1], 1j]


@pytest.mark.parametrize("policy", POLICIES)
def test_defaults_are_those_of_the_design(policy: Policy) -> None:
    assert attrs.asdict(policy()) == DEFAULTS[policy]


@pytest.mark.parametrize("bad", NEVER_A_NUMBER, ids=repr)
@pytest.mark.parametrize(("policy", "name"), NUMBERS)
def test_what_is_no_usable_number_is_refused_by_name(policy: Policy, name: str, bad: object) -> None:
    with pytest.raises(ConfigurationError, match=rf"^{name} must"):
        policy(**{name: bad})


@pytest.mark.parametrize(("policy", "name"), [p for p in NUMBERS if p.values[1] not in OPTIONAL])
def test_none_is_refused_where_a_number_is_needed(policy: Policy, name: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"^{name} must"):
        policy(**{name: None})


@pytest.mark.parametrize(("policy", "name"), QUANTITIES)
def test_an_integer_beyond_every_float_is_refused(policy: Policy, name: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"^{name} must"):
        policy(**{name: 10**400})


@pytest.mark.parametrize("bad", [0, 1.0, 2.5])
@pytest.mark.parametrize(("policy", "name"), WHOLE)
def test_a_count_is_a_whole_number_of_at_least_one(policy: Policy, name: str, bad: object) -> None:
    with pytest.raises(ConfigurationError, match=rf"^{name} must"):
        policy(**{name: bad})


@pytest.mark.parametrize(("policy", "name"), [p for p in QUANTITIES if p.values[1] in POSITIVE])
def test_zero_is_refused_where_nothing_could_happen(policy: Policy, name: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"^{name} must"):
        policy(**{name: 0})


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


@pytest.mark.parametrize("jitter", [1.001, 2])
def test_jitter_beyond_the_whole_is_refused(jitter: float) -> None:
    with pytest.raises(ConfigurationError, match="jitter"):
        PollPolicy(jitter=jitter)


@pytest.mark.parametrize("wait", [1.0, "soon", 0, False, object()])
def test_a_wait_that_cannot_be_called_is_refused(wait: Any) -> None:
    with pytest.raises(ConfigurationError, match="wait"):
        PollPolicy(wait=wait)


@pytest.mark.parametrize("policy", POLICIES)
def test_a_policy_takes_keywords_only(policy: Policy) -> None:
    with pytest.raises(TypeError, match="positional"):
        policy(1)


@pytest.mark.parametrize(("policy", "name"), NUMBERS)
def test_a_policy_is_frozen(policy: Policy, name: str) -> None:
    made = policy()
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        setattr(made, name, 1)


@pytest.mark.parametrize(("policy", "name"), NUMBERS)
def test_a_changed_copy_is_checked_again(policy: Policy, name: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"^{name} must"):
        attrs.evolve(policy(), **{name: -1})


@pytest.mark.parametrize("policy", POLICIES)
def test_equal_policies_are_one_in_a_set(policy: Policy) -> None:
    assert len({policy(), policy()}) == 1


def test_the_environments_are_the_documented_servers() -> None:
    assert dict(ENVIRONMENTS) == {
        "production": "https://api.chamelaion.com/api",
        "staging": "https://api.dev.chamelaion.com/api",
    }
