"""Why an engine refuses a request: its own words for the log, the gateway's words for clients.

vLLM 0.32 answers 401 to a wrong key, 404 to a model that it does not serve, and 400 to a prompt
beyond its model's context. The reason is a sentence in `error.message`.
"""

from typing import Final

import pydantic_core

from glore.engines.wire import ServedModel

MAX_BYTES: Final = 4096  # of a body that are read
_MAX_EXCERPT: Final = 200  # characters
_MAX_NAMES: Final = 10
_MAX_NAME: Final = 100
_STRUCK: Final = "[secret]"
_KEY_REFUSED: Final = frozenset({401, 403})
_NOT_FOUND: Final = 404
_TOO_LARGE: Final = 413
_INVALID: Final = frozenset({400, 422})
# How vLLM and other engines with its API say that a prompt is too long, in lower case.
_TOO_LONG: Final = (
    "context length",
    "context_length_exceeded",
    "context size",
    "context window",
    "max_model_len",
    "maximum model length",
    "prompt is too long",
    "prompt too long",
    "input is too long",
    "too many tokens",
)


def excerpt(body: bytes, key: str | None) -> str:
    """The beginning of what the body of a refusal says: one line, without the engine's key."""
    text = _message(body) or body.decode(errors="replace")
    if key:
        text = text.replace(key, _STRUCK)
    return "".join(
        each if each.isprintable() else each.encode("unicode_escape").decode()
        for each in text[:_MAX_EXCERPT]
    )


def needs_models(status: int) -> bool:
    """Whether `explanation` says more when the models of the engine are known."""
    return status in {_NOT_FOUND, _TOO_LARGE, *_INVALID}


def explanation(
    status: int, body: str, model: str, served: tuple[ServedModel, ...], key: str | None
) -> str:
    """Why the engine refused, in words that go on after "the engine" and are safe for clients.

    `body` is the excerpt of its body; `served` is empty where its models are not known.
    """
    if status in _KEY_REFUSED:
        return "refused the gateway's key" if key else "asks for a key, and the gateway has none"
    body = body.lower()
    if status == _TOO_LARGE or (status in _INVALID and any(each in body for each in _TOO_LONG)):
        return f"refused the request. The prompt is too long{_limit(model, served)}"
    if status == _NOT_FOUND and not served:
        return f"does not serve {model}, or its URL is wrong (HTTP 404)"
    missing = model not in {each.id for each in served}
    if missing and (status == _NOT_FOUND or (served and status in _INVALID and "model" in body)):
        return f"does not serve {model} (it serves {_listed(served, key)})"
    return f"refused the request (HTTP {status})"


def _message(body: bytes) -> str | None:
    """The sentence in an error's JSON: `error.message`, `error`, `message` or `detail`."""
    try:
        found: object = pydantic_core.from_json(body)
    except ValueError:
        return None
    for name in ("error", "message", "detail"):
        if isinstance(found, dict) and name in found:
            found = found[name]
    return found if isinstance(found, str) else None


def _listed(served: tuple[ServedModel, ...], key: str | None) -> str:
    names = [each.id for each in served if each.id.isprintable()]
    shown = [name.replace(key, _STRUCK) if key else name for name in names[:_MAX_NAMES]]
    return ", ".join(name[:_MAX_NAME] for name in shown) + (
        ", ..." if len(names) > len(shown) else ""
    )


def _limit(model: str, served: tuple[ServedModel, ...]) -> str:
    for each in served:
        if each.id == model and each.max_model_len is not None:
            return (
                f": its model's maximum context length is {each.max_model_len} tokens, "
                "those of the answer included"
            )
    return " for its model"
