"""Paths that are not there: what was meant, and in which shape the client reads errors.

Most often a base URL is wrong: OpenAI's clients need `/v1` at its end, GLoRe's own do without.
"""

import re
from typing import Final

_OPENAI_PREFIX: Final = "/v1"
_A_MODEL: Final = "/v1/models/"  # whose name may be any
_OWN: Final = re.compile(
    r"/(solve|solve/batch|feedback|livez|readyz|health|metrics|docs|openapi\.json)$"
)
_OPENAI: Final = re.compile(r"/(chat/completions|models|models/[^/]+)$")
_OPENAI_ONLY: Final = re.compile(r"/(completions|responses|embeddings|files|batches)$")  # not here
_SLASHES: Final = re.compile(r"//+")


def speaks_openai(path: str) -> bool:
    """Whether errors of this path have OpenAI's shape."""
    path = _plain(path)
    if _OWN.search(path) and not path.startswith(_A_MODEL):
        return False
    asked = _OPENAI.search(path) or _OPENAI_ONLY.search(path)
    return bool(asked) or f"{path}/".startswith(f"{_OPENAI_PREFIX}/")


def explain_nothing(path: str) -> str:
    """Why there is nothing at this path. It is not quoted."""
    path = _plain(path)
    if (own := _OWN.search(path)) and not path.startswith(_A_MODEL):
        return (
            f"There is nothing at this path, but there is {own[0]}: the base URL of GLoRe's "
            "clients is the address alone, as http://HOST:PORT, without /v1 or a slash at its end."
        )
    if openai := _OPENAI.search(path):
        return (
            f"There is nothing at this path, but there is {_OPENAI_PREFIX}{openai[0]}: the base "
            "URL of OpenAI's clients is the address and /v1, as http://HOST:PORT/v1."
        )
    if speaks_openai(path):
        return (
            "Of OpenAI's API there are /v1/chat/completions and /v1/models; the base URL of its "
            "clients is the address and /v1, as http://HOST:PORT/v1."
        )
    return "There is nothing at this path; /docs lists what there is."


def _plain(path: str) -> str:
    """The path without slashes that say nothing."""
    return _SLASHES.sub("/", path).rstrip("/")
