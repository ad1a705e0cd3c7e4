"""What users import: names, signatures, docstrings and annotations."""

from __future__ import annotations

import importlib.metadata
import inspect
import re
import types
from collections.abc import Iterator
from typing import Any, get_type_hints

import attrs
import pytest

import chamelaion_async
from chamelaion_async import AsyncClient, Pace, PollPolicy, RetryPolicy, errors, models, resources
from chamelaion_async.resources.account import HealthResource, UsersResource
from chamelaion_async.resources.lipsync import LipsyncRequests

NAMES = [name for name in chamelaion_async.__all__ if name != "__version__"]
ALIASES = {"MediaSource", "OnUpdate"}
"""Names of types that are no classes."""

EMPTY = inspect.Parameter.empty
NO_VALUE: Any = EMPTY


def reached(thing: object) -> Iterator[type]:
    """Yield the classes of the resources below a client, which are as public as what is imported."""
    for name, value in vars(thing).items():
        if not name.startswith("_") and type(value).__module__.startswith(resources.__name__):
            yield type(value)
            yield from reached(value)


REACHED = [*reached(AsyncClient("sk-test-key"))]


def public_members(kind: type) -> Iterator[tuple[str, Any]]:
    """Yield the public methods and properties of a class that we wrote, inherited ones included."""
    for name in dir(kind):
        member = inspect.getattr_static(kind, name)
        if isinstance(member, (classmethod, staticmethod)):
            member = member.__func__
        function = member.fget if isinstance(member, property) else member
        if (
            not name.startswith("_")
            and isinstance(function, types.FunctionType)
            and function.__module__.startswith("chamelaion_async")
        ):
            yield name, function


def classes() -> list[type]:
    return [*(getattr(chamelaion_async, name) for name in NAMES if name not in ALIASES), *REACHED]


MEMBERS = [
    pytest.param(function, id=f"{kind.__name__}.{name}")
    for kind in classes()
    for name, function in public_members(kind)
]


def parameters(function: Any) -> list[tuple[str, str, object]]:
    return [(p.name, p.kind.name, p.default) for p in inspect.signature(function).parameters.values()]


def test_all_is_sorted_and_names_everything_once() -> None:
    assert chamelaion_async.__all__ == sorted(set(chamelaion_async.__all__))


def test_all_is_complete() -> None:
    policies = {"Pace", "PollPolicy", "RetryPolicy"}
    expected = {
        "AsyncClient",
        "Durations",
        "Forecast",
        "MediaSource",
        "RequestsResource",
        "Upload",
        "__version__",
        *policies,
        *errors.__all__,
        *models.__all__,
    }
    assert set(chamelaion_async.__all__) == expected


def test_the_package_exports_nothing_else() -> None:
    public = {
        name
        for name, value in vars(chamelaion_async).items()
        if not name.startswith("_") and not isinstance(value, types.ModuleType)
    }
    assert public == set(NAMES)


def test_the_version_is_one_that_an_index_accepts() -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+([ab]\d+|rc\d+)?(\.dev\d+)?", chamelaion_async.__version__)


def test_an_installed_distribution_has_the_same_version() -> None:
    try:
        installed = importlib.metadata.version("chamelaion-async")
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("the tests run from the source tree")
    assert installed == chamelaion_async.__version__


@pytest.mark.parametrize("kind", classes(), ids=lambda kind: kind.__name__)
def test_a_public_class_has_a_docstring_of_its_own(kind: type) -> None:
    assert (vars(kind).get("__doc__") or "").strip()


@pytest.mark.parametrize("function", MEMBERS)
def test_a_public_method_has_a_docstring_and_annotations(function: Any) -> None:
    signature = inspect.signature(function)
    bare = [name for name, p in signature.parameters.items() if p.annotation is EMPTY and name not in {"self", "cls"}]
    assert inspect.getdoc(function)
    assert (bare, signature.return_annotation is EMPTY) == ([], False)


@pytest.mark.parametrize("function", MEMBERS)
def test_the_annotations_of_a_public_method_can_be_resolved(function: Any) -> None:
    # A name that is imported under TYPE_CHECKING only would be a NameError for cattrs and documentation tools.
    assert "return" in get_type_hints(function)


@pytest.mark.parametrize("kind", classes(), ids=lambda kind: kind.__name__)
def test_the_arguments_of_a_public_class_are_annotated(kind: Any) -> None:
    made_by = kind.__init__
    if not getattr(made_by, "__module__", "").startswith("chamelaion_async"):
        return  # an exception or enum without arguments of its own
    bare = [
        name
        for name, parameter in inspect.signature(made_by).parameters.items()
        if parameter.annotation is EMPTY and name != "self"
    ]
    assert bare == []


@pytest.mark.parametrize("kind", [kind for kind in classes() if attrs.has(kind)], ids=lambda kind: kind.__name__)
def test_the_fields_of_a_public_class_are_annotated(kind: Any) -> None:
    assert [field.name for field in attrs.fields(kind) if field.type is None] == []


def described(text: str | None, section: str) -> set[str]:
    """Return the names that a section of a docstring describes."""
    _, _, rest = inspect.cleandoc(text or "").partition(f"{section}:\n")
    return set(re.findall(r"^    (\w+):", re.split(r"\n\n\S", rest)[0], re.MULTILINE))


@pytest.mark.parametrize("kind", [kind for kind in classes() if attrs.has(kind)], ids=lambda kind: kind.__name__)
def test_a_docstring_that_describes_fields_describes_all_of_them(kind: Any) -> None:
    names = {name for base in kind.__mro__ for name in described(base.__doc__, "Attributes")}
    assert names in (set(), {field.name for field in attrs.fields(kind)} - described(kind.__doc__, "Args"))


@pytest.mark.parametrize("function", MEMBERS)
def test_a_docstring_that_describes_arguments_describes_all_of_them(function: Any) -> None:
    names = described(function.__doc__, "Args")
    assert names in (set(), set(inspect.signature(function).parameters) - {"self", "cls"})


def test_the_client_takes_what_the_design_promises() -> None:
    keyword = "KEYWORD_ONLY"
    assert parameters(AsyncClient) == [
        ("api_key", "POSITIONAL_OR_KEYWORD", None),
        ("bearer_token", keyword, None),
        ("environment", keyword, None),
        ("base_url", keyword, None),
        ("session", keyword, None),
        ("proxy", keyword, None),
        ("trust_env", keyword, False),
        ("timeout", keyword, 60.0),
        ("retry", keyword, RetryPolicy()),
        ("polling", keyword, PollPolicy()),
        ("pace", keyword, Pace()),
        ("durations", keyword, None),
        ("shared", keyword, None),
        ("drain_on_signals", keyword, False),
        ("default_headers", keyword, None),
        ("allow_http", keyword, False),
    ]


@pytest.mark.parametrize(
    "function",
    [AsyncClient.wait_until_finished, LipsyncRequests.wait_until_finished],
    ids=["client", "lipsync.requests"],
)
def test_a_wait_takes_what_the_design_promises(function: Any) -> None:
    assert parameters(function) == [
        ("self", "POSITIONAL_OR_KEYWORD", NO_VALUE),
        ("id", "POSITIONAL_OR_KEYWORD", NO_VALUE),
        ("timeout", "KEYWORD_ONLY", 600.0),
        ("polling", "KEYWORD_ONLY", None),
        ("on_update", "KEYWORD_ONLY", None),
    ]


def test_the_short_form_of_a_wait_says_all_that_the_long_one_says() -> None:
    """Editors show the docstring of the function that is called."""
    long, short = LipsyncRequests.wait_until_finished.__doc__, AsyncClient.wait_until_finished.__doc__
    for section in ("Args", "Raises"):
        assert described(short, section) == described(long, section) != set()
    assert "Cancelling" in (short or "")


@pytest.mark.parametrize("kind", [value for value in classes() if value.__module__ == models.__name__])
def test_each_field_of_a_model_has_a_docstring(kind: Any) -> None:
    if not attrs.has(kind) or kind is models.RawResponse:
        return
    source = inspect.getsource(kind)
    own = [field.name for field in attrs.fields(kind) if not field.inherited]
    missing = [name for name in own if not re.search(rf'^    (    )?{name}: .*\n +"""', source, re.MULTILINE)]
    assert missing in ([], own if described(kind.__doc__, "Attributes") else [])


def test_a_view_takes_what_the_design_promises() -> None:
    assert parameters(AsyncClient.with_options) == [
        ("self", "POSITIONAL_OR_KEYWORD", NO_VALUE),
        *((name, "KEYWORD_ONLY", None) for name in ("timeout", "retry", "polling", "default_headers")),
    ]


@pytest.mark.parametrize("function", [AsyncClient.request, AsyncClient.request_raw], ids=lambda f: f.__name__)
def test_a_free_call_takes_what_the_design_promises(function: Any) -> None:
    assert parameters(function) == [
        ("self", "POSITIONAL_OR_KEYWORD", NO_VALUE),
        ("method", "POSITIONAL_OR_KEYWORD", NO_VALUE),
        ("path", "POSITIONAL_OR_KEYWORD", NO_VALUE),
        ("params", "KEYWORD_ONLY", None),
        ("json", "KEYWORD_ONLY", None),
    ]


@pytest.mark.parametrize(
    ("function", "result"),
    [
        (HealthResource.check, models.Health),
        (UsersResource.me, models.User),
        (AsyncClient.wait_until_finished, models.LipsyncRequest),
        (AsyncClient.request_raw, models.RawResponse),
        (AsyncClient.request, Any),
        (AsyncClient.aclose, type(None)),
    ],
    ids=lambda value: getattr(value, "__qualname__", str(value)),
)
def test_a_call_promises_its_result(function: Any, result: object) -> None:
    assert get_type_hints(function)["return"] is result


@pytest.mark.parametrize("name", ["health", "users", "lipsync", "base_url", "is_closed"])
def test_a_client_has_the_documented_attribute(name: str) -> None:
    assert hasattr(AsyncClient("sk-test-key"), name)
