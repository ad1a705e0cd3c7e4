"""The cattrs converter: decoded JSON in, models out, and no silent coercion on the way.

cattrs by default turns ``null`` into ``"None"`` and ``5`` into ``"5"``. Here a value of another type than
the field's is an error that names its path.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, TypeVar, get_args, get_origin

import attrs
from cattrs import BaseValidationError, Converter, IterableValidationError, override, transform_error
from cattrs.errors import IterableValidationNote
from cattrs.gen import make_dict_structure_fn
from cattrs.v import format_exception

from ..models import Page, Voice

__all__ = ["ShapeError", "structure_hook"]

T = TypeVar("T")
Hook = Callable[[Any, Any], Any]


class ShapeError(ValueError):
    """Decoded JSON that is not of the shape of the model. Hooks raise it without the path, callers get it with it."""


_MAX_FAULTS = 5
_MAX_QUOTE = 40
_SEPARATORS = frozenset("Tt ")
_JSON_NAMES: dict[type[Any], str] = {
    str: "string",
    int: "integer",
    float: "number",
    bool: "boolean",
    list: "array",
    dict: "object",
    type(None): "null",
}


def _mistyped(kind: type[Any], value: object) -> ShapeError:
    found = _JSON_NAMES.get(type(value), type(value).__name__)
    return ShapeError(f"expected {_JSON_NAMES[kind]}, got {found}")


def _exactly(kind: type[Any]) -> Hook:
    def hook(value: Any, _: Any) -> Any:
        if type(value) is not kind:
            raise _mistyped(kind, value)
        return value

    return hook


def _float(value: Any, _: Any) -> float:
    # JSON has one kind of number (RFC 8259, section 6), so 2 may stand for 2.0. True may not.
    if type(value) not in (float, int):
        raise _mistyped(float, value)
    return float(value)


def _datetime(value: Any, _: Any) -> datetime:
    """RFC 3339; a time without a zone is taken as UTC, a date without a time is refused."""
    if type(value) is not str:
        raise _mistyped(str, value)
    try:
        # fromisoformat would read a date alone as midnight, and take any letter between date and time.
        if value[10:11] in _SEPARATORS:
            try:
                time = datetime.fromisoformat(value)
            except ValueError:
                time = datetime.fromisoformat(value.upper())  # of letters, it takes a capital Z only
            if time.tzinfo is UTC:
                return time
            return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    # All of it or nothing: a part of it may be a part of the key, which is masked only as a whole.
    found = repr(value) if len(value) <= _MAX_QUOTE else f"{len(value)} characters"
    raise ShapeError(f"expected an RFC 3339 date-time, got {found}")


def _optional_string(value: Any, _: Any) -> str | None:
    if value is not None and type(value) is not str:
        raise _mistyped(str, value)
    return value


def _optional_datetime(value: Any, target: Any) -> datetime | None:
    return None if value is None else _datetime(value, target)


def _guard(kind: type[Any], inner: Hook) -> Hook:
    """Check the JSON type first: a string is iterable too, and cattrs would make a list of its characters."""

    def hook(value: Any, target: Any) -> Any:
        if type(value) is not kind:
            raise _mistyped(kind, value)
        return inner(value, target)

    return hook


def _list_hook(target: Any, converter: Converter) -> Hook:
    (item,) = get_args(target)
    inner = converter.get_structure_hook(item)
    return lambda values, _: [made for _, made in _structured(enumerate(values), inner, item, target)]


def _mapping_hook(target: Any, converter: Converter) -> Hook:
    _, item = get_args(target)  # names are strings in JSON
    inner = converter.get_structure_hook(item)
    return lambda values, _: dict(_structured(values.items(), inner, item, target))


def _structured(
    pairs: Iterable[tuple[int | str, Any]], inner: Hook, item: Any, target: Any
) -> Iterator[tuple[int | str, Any]]:
    """Structure the items of a list or mapping, and stop after as many faults as the text names.

    cattrs' own hooks go on to the end, which takes minutes and gigabytes if all of 8 MiB are wrong.
    """
    faults: list[Exception] = []
    for place, value in pairs:
        try:
            made = inner(value, item)
        except (BaseValidationError, ShapeError) as error:
            error.add_note(IterableValidationNote(f"Structuring {target} @ {place!r}", place, item))
            faults.append(error)
            if len(faults) == _MAX_FAULTS:
                break
        else:
            yield place, made
    if faults:
        raise IterableValidationError(f"While structuring {target}", faults, target)


def _is_list(target: Any) -> bool:
    return get_origin(target) is list


def _is_mapping(target: Any) -> bool:
    return get_origin(target) is Mapping


def _is_page(target: Any) -> bool:
    return get_origin(target) is Page


def _page_factory(target: Any, converter: Converter) -> Hook:
    key = _page_key(target)
    structure = make_dict_structure_fn(target, converter, data=override(rename=key))

    def hook(value: Any, _: Any) -> Any:
        page = structure(value, target)
        object.__setattr__(page, "_key", key)  # frozen, and no argument: it is not for those who make pages by hand
        return page

    return _guard(dict, hook)


def _page_key(target: Any) -> str:
    """Return where a page holds its records."""
    return "voices" if get_args(target) == (Voice,) else "data"


def _make_converter() -> Converter:
    converter = Converter()
    for kind in (str, int, bool):
        converter.register_structure_hook(kind, _exactly(kind))
    converter.register_structure_hook(float, _float)
    converter.register_structure_hook(datetime, _datetime)
    # cattrs' own hook for optional fields looks up the inner one at every call.
    converter.register_structure_hook_func(lambda target: target == str | None, _optional_string)
    converter.register_structure_hook_func(lambda target: target == datetime | None, _optional_datetime)
    converter.register_structure_hook_factory(
        attrs.has, lambda target: _guard(dict, make_dict_structure_fn(target, converter))
    )
    converter.register_structure_hook_factory(_is_page, lambda target: _page_factory(target, converter))
    converter.register_structure_hook_factory(_is_list, lambda target: _guard(list, _list_hook(target, converter)))
    converter.register_structure_hook_factory(
        _is_mapping, lambda target: _guard(dict, _mapping_hook(target, converter))
    )
    return converter


_converter = _make_converter()


def structure_hook(model: type[T]) -> Callable[[Any], T]:
    """Return the function that builds ``model`` from decoded JSON.

    It may be kept: a page with many records then searches for it once. It raises ShapeError, which lists what is
    wrong, and where.
    """
    hook = _converter.get_structure_hook(model)

    def structure(data: Any) -> T:
        try:
            made: T = hook(data, model)
        except (BaseValidationError, ShapeError) as error:
            raise _with_paths(error, model) from error
        return made

    return structure


def _with_paths(error: BaseException, model: type[Any]) -> ShapeError:
    faults = transform_error(error, format_exception=_describe)
    if _is_page(model):  # cattrs names attributes, not keys
        faults = [fault.replace("@ $.data", f"@ $.{_page_key(model)}") for fault in faults]
    return ShapeError("; ".join(faults[:_MAX_FAULTS]))


def _describe(error: BaseException, target: type[Any] | None) -> str:
    return str(error) if isinstance(error, ShapeError) else format_exception(error, target)
