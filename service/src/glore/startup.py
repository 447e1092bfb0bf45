"""What a gateway says of itself when it starts: its settings without secrets, and who can ask."""

import ipaddress
import logging
import socket
from collections.abc import Mapping
from importlib import metadata
from typing import Final

from glore.batches.location import kind_of
from glore.role_settings import ROLES
from glore.settings import Settings

# Told in another form: by role, by number or by kind.
_TOLD: Final = {
    "generation", "scoring", "engines", "models", "families",
    "threshold", "gate", "api_keys", "api_keys_file", "store",
}  # fmt: skip
_OWN_FAMILY: Final = {"sorm": "newline", "orm": "newline"}

_log = logging.getLogger("glore")


def version() -> str:
    """The version of the gateway."""
    try:
        return metadata.version("glore")
    except metadata.PackageNotFoundError:  # run from a source tree that is not installed
        return "0+unknown"


def described(settings: Settings) -> dict[str, object]:
    """All settings as plain values, without a secret: keys as a number, the store by its kind."""
    engines = {}
    for role in ROLES:
        name, engine = settings.engine_of(role)
        engines[role] = {
            "engine": name,
            "url": str(engine.url),
            "model": settings.models.of(role),
            "family": getattr(settings.families, role) or _OWN_FAMILY.get(role, "trained"),
            "timeout": engine.timeout,
            "key": engine.api_key is not None,
        }
    return {
        "version": version(),
        "engines": engines,
        "first_error_threshold": settings.first_error_threshold,
        "draft_gate": settings.draft_gate,
        "store": kind_of(settings.store.get_secret_value() if settings.store else None),
        "keys": len(settings.keyring.keys),
        **settings.model_dump(mode="json", exclude=_TOLD),
    }


def log_settings(settings: Settings, without: tuple[str, ...] = ()) -> None:
    """The first line of a gateway's log."""
    fields = {name: value for name, value in described(settings).items() if name not in without}
    _log.info("settings", extra={"fields": fields})


def exposed(host: str, keys: int) -> str | None:
    """What to say of a gateway that is not for this machine alone and asks for no key."""
    if keys or _is_local(host):
        return None
    return (
        f"the gateway listens on {host} and asks for no key: everybody who reaches it can ask; "
        "GLORE_API_KEYS or GLORE_API_KEYS_FILE closes it"
    )


def log_exposure(settings: Settings) -> None:
    """A warning in the log if everybody can ask."""
    if warning := exposed(settings.host, len(settings.keyring.keys)):
        _log.warning(warning)


def build_of(settings: Settings) -> dict[str, str]:
    """What tells one build and setup of a gateway from another: labels of a metric."""
    return {
        "version": version(),
        "strategy": settings.strategy.value,
        "serves": settings.identity or "",
    }


def limits_of(settings: Settings) -> dict[str, tuple[str, float]]:
    """The limits and thresholds that metrics tell of: description and value by name."""
    return {
        "first_error_threshold": (
            "A step that scores below it is an error.",
            settings.first_error_threshold,
        ),
        "shadow_share": (
            "Share of the questions with strategy `draft` that are also refined.",
            settings.shadow,
        ),
        "draft_gate_threshold": (
            "A draft with a step that scores below it does not pass the gate.",
            settings.draft_gate,
        ),
        "limit_solves_running": ("Questions worked on at once, at most.", settings.max_running),
        "limit_solves_waiting": ("Questions that wait, at most.", settings.max_waiting),
        "limit_batches": ("Batches answered at once, at most.", settings.max_batches),
        "limit_batch_questions": ("Questions of one batch, at most.", settings.max_batch),
        "limit_deadline_seconds": ("Longest deadline of a question.", settings.max_deadline),
        "limit_engine_calls": ("Engine calls of one question, at most.", settings.max_calls),
        "limit_generated_tokens": (
            "Tokens generated for one question, at most.",
            settings.max_generated_tokens,
        ),
        "limit_rounds": ("Rounds of refinement of one question, at most.", settings.max_rounds),
        "limit_question_characters": ("Characters of a question, at most.", settings.max_question),
        "limit_feedback_remembered": (
            "Answers that can be judged, at most.",
            settings.feedback_remembered,
        ),
        "limit_body_bytes": ("Bytes of the body of a single question.", settings.max_body),
    }


def lines(fields: Mapping[str, object], indent: str = "") -> list[str]:
    """What `described` gives, for people."""
    found: list[str] = []
    for name, value in fields.items():
        if isinstance(value, Mapping) and any(isinstance(each, Mapping) for each in value.values()):
            found += [f"{indent}{name}:", *lines(value, f"{indent}  ")]
        elif isinstance(value, Mapping):
            parts = (f"{key} {_plain(each)}" for key, each in value.items())
            found.append(f"{indent}{name}: {', '.join(parts)}")
        else:
            found.append(f"{indent}{name}: {_plain(value)}")
    return found


def _plain(value: object) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "none" if value is None else str(value)


def _is_local(host: str) -> bool:
    """Whether every address of the host is of this machine alone; one without any is."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError:
        return True
    addresses = (ipaddress.ip_address(str(each[4][0]).partition("%")[0]) for each in found)
    return all((getattr(each, "ipv4_mapped", None) or each).is_loopback for each in addresses)
