"""The verifiers by name: those of this project, and those that installed packages add.

A package adds one by an entry point of the group `glore.verifiers`, which names a class that is
made without arguments and fills `glore.verifiers.ports.Verifier`.
"""

from collections.abc import Iterable
from importlib.metadata import entry_points
from typing import Final

from glore.verifiers.arithmetic import Arithmetic
from glore.verifiers.ports import Verifier

GROUP: Final = "glore.verifiers"


def verifier_names() -> tuple[str, ...]:
    """The names of all verifiers that are installed, this project's first."""
    others = sorted(each.name for each in entry_points(group=GROUP))
    return tuple(dict.fromkeys((Arithmetic.name, *others)))


def names_in(text: str) -> tuple[str, ...]:
    """The names in a list separated by commas; none for `off`.

    Raises ValueError for a name that is not installed.
    """
    names = tuple(name for name in (part.strip() for part in text.split(",")) if name)
    if names in {(), ("off",)}:
        return ()
    known = verifier_names()
    for name in names:
        if name not in known:
            message = f"no verifier {name!r}; there are {', '.join(known)}, or off for none"
            raise ValueError(message)
    return names


def load_verifiers(names: Iterable[str]) -> tuple[Verifier, ...]:
    """The verifiers of these names, in order.

    Raises LookupError for a name that is not installed, and what loading a package raises.
    """
    return tuple(_load(name) for name in names)


def _load(name: str) -> Verifier:
    if name == Arithmetic.name:
        return Arithmetic()
    for each in entry_points(group=GROUP, name=name):
        verifier: Verifier = each.load()()
        return verifier
    message = f"no verifier {name!r} is installed"
    raise LookupError(message)
