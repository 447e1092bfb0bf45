"""The environment variables GLORE_...: those that exist, and what a wrong one should have been."""

import difflib
import re
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Final, get_args

from pydantic import BaseModel, SecretStr

PREFIX: Final = "GLORE_"
DELIMITER: Final = "__"  # between the levels of a setting
# What is read elsewhere than in the settings of a gateway.
OTHERS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "GLORE_API_KEY": "The key that the SDK and `glore ask`, `eval` and `status` send.",
        "GLORE_BUNDLE": "The folder of the adapters that `glore up` serves.",
        "GLORE_CACHE": "The folder of the models. The default is `~/.cache/glore`.",
        "GLORE_GSM8K": "GSM8K's training file, for `glore train` and `glore eval`.",
        "GLORE_RAY_DIR": "The folder for the files of a local Ray.",
        "GLORE_URL": "The gateway that the SDK and `glore ask`, `eval` and `status` call.",
    }
)
_SECRET: Final = ("GLORE_API_KEY",)
# What Kubernetes sets in every container for a service that is named glore or glore-...
_SERVICE_LINK: Final = re.compile(
    r"\w+_(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)"
)
_LINKED_PORT: Final = re.compile(r"(tcp|udp|sctp)://.*")
_ALIKE: Final = 0.6  # of two names without their prefix, as difflib has it


def names_of(model: type[BaseModel], prefix: str = PREFIX) -> dict[str, bool]:
    """The variables that set `model`, and whether each may hold a secret.

    A level can also be given whole, as JSON in one variable.
    """
    names: dict[str, bool] = {}
    for field, info in model.model_fields.items():
        name, kinds = f"{prefix}{field.upper()}", set(_kinds(info.annotation))
        below: dict[str, bool] = {}
        for kind in kinds:
            if isinstance(kind, type) and issubclass(kind, BaseModel):
                below |= names_of(kind, f"{name}{DELIMITER}")
        names[name] = SecretStr in kinds or any(below.values())
        names |= below
    return names


def secret_names(settings: Mapping[str, bool]) -> frozenset[str]:
    """The variables whose values must not be shown."""
    return frozenset((*_SECRET, *(name for name, secret in settings.items() if secret)))


def wrong_names(environment: Mapping[str, str], settings: Mapping[str, bool]) -> list[str]:
    """A sentence for each variable that begins like ours and is none; no value is quoted."""
    known = {*settings, *OTHERS}
    return [
        f"{name} is not a setting{_instead(name, known)}"
        for name, value in environment.items()
        if name.upper().startswith(PREFIX) and name not in known and not _is_link(name, value)
    ]


def _instead(name: str, known: set[str]) -> str:
    wanted = _core(name.upper())
    by_core = {_core(each): each for each in sorted(known)}
    near = difflib.get_close_matches(wanted, by_core, n=1, cutoff=_ALIKE)
    return f"; did you mean {by_core[near[0]]}?" if near else "; unset it"


def _core(name: str) -> str:
    """A name without what is alike in all, and with one kind of separator."""
    return name.removeprefix(PREFIX).replace(DELIMITER, "_")


def _is_link(name: str, value: str) -> bool:
    return bool(_SERVICE_LINK.fullmatch(name)) or (
        name.endswith("_PORT") and bool(_LINKED_PORT.fullmatch(value))
    )


def _kinds(annotation: object) -> Iterator[object]:
    """The types in an annotation such as `Annotated[SecretStr, ...] | None`."""
    yield annotation
    for part in get_args(annotation):
        yield from _kinds(part)
