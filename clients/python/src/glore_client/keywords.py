"""Keyword arguments that do not exist: refused, with the nearest name that does."""

import asyncio
import difflib
import functools
import inspect
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar, get_args, is_typeddict

C = TypeVar("C")


def names_nearest(cls: type[C]) -> type[C]:
    """A class decorator: an unknown keyword is a TypeError that names the nearest known one.

    It holds for the constructor, and for the public methods unless the class is one of values:
    `Unpack` of a TypedDict included. It is raised by the call itself, not by the coroutine or
    generator that the call returns.
    """
    bases = () if _is_value(cls) else reversed(cls.__mro__)
    methods = {
        name: method
        for base in bases
        for name, method in vars(base).items()
        if inspect.isfunction(method) and not name.startswith("_")
    }
    known = {name: dict(_keywords(method)) for name, method in methods.items()}
    known[cls.__name__] = dict(_keywords(cls))
    for name, keywords in known.items():
        if keywords:
            attribute = name if name in methods else "__init__"
            others = {other: known[other] for other in known if other != name}
            call = getattr(cls, attribute)
            setattr(cls, attribute, _checked(call, name, keywords, _elsewhere(keywords, others)))
    return cls


def _checked(
    call: Callable[..., Any],
    name: str,
    keywords: Mapping[str, object],
    elsewhere: Mapping[str, str],
) -> Callable[..., Any]:
    nearest = {**elsewhere, **{each: repr(each) for each in keywords}}

    @functools.wraps(call)
    def checked(*args: Any, **given: Any) -> Any:
        unknown = [each for each in given if each not in keywords]
        if unknown:
            raise TypeError("; ".join(_refusal(name, each, nearest, keywords) for each in unknown))
        return call(*args, **given)

    if inspect.iscoroutinefunction(call):
        _mark_coroutine_function(checked)
    return checked


def _mark_coroutine_function(call: Callable[..., Any]) -> None:
    """Have `inspect` and `unittest.mock` treat it as a coroutine function."""
    if sys.version_info >= (3, 12):
        inspect.markcoroutinefunction(call)
    else:
        vars(call)["_is_coroutine"] = vars(asyncio.coroutines)["_is_coroutine"]


def _refusal(
    name: str, unknown: str, nearest: Mapping[str, str], keywords: Mapping[str, object]
) -> str:
    matches = difflib.get_close_matches(unknown[:100], nearest, n=1)
    if matches:
        return f"{name}() has no option {unknown!r}; did you mean {nearest[matches[0]]}?"
    return f"{name}() has no option {unknown!r}; its options are {', '.join(keywords)}"


def _elsewhere(
    keywords: Mapping[str, object], others: Mapping[str, Mapping[str, object]]
) -> dict[str, str]:
    """How to say what is no keyword of a call itself: keyword -> the call or value that has it."""
    found: dict[str, str] = {}
    for keyword, annotation in keywords.items():
        for kind in (annotation, *get_args(annotation)):
            if _is_value(kind):
                for field in inspect.signature(kind).parameters:
                    found.setdefault(field, f"{keyword}={kind.__name__}({field}=...)")
    for other, names in others.items():
        for each in names:
            found.setdefault(each, f"{other}({each}=...)")
    return found


def _is_value(kind: object) -> bool:
    """Whether it is a dataclass or a pydantic model."""
    return isinstance(kind, type) and (
        hasattr(kind, "__dataclass_fields__") or hasattr(kind, "__pydantic_fields__")
    )


def _keywords(call: Callable[..., Any]) -> Iterator[tuple[str, object]]:
    """What may be given by keyword, with its annotation."""
    for parameter in inspect.signature(call).parameters.values():
        if parameter.kind is parameter.VAR_KEYWORD:
            for options in filter(is_typeddict, get_args(parameter.annotation)):
                yield from inspect.get_annotations(options).items()
        elif parameter.kind is not parameter.VAR_POSITIONAL and parameter.name != "self":
            yield parameter.name, parameter.annotation
