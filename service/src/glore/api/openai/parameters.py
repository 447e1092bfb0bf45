"""What the facade does with a parameter that it does not use.

A hint changes no answer, so it is accepted and ignored (`Hints`). Any other parameter would change
the answer or its shape, so it is refused, unless its value asks for what the gateway does anyway
(`NEUTRAL`). tests/service/api/openai/test_request.py holds the lists to those of the openai client.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final, TypeAlias

from pydantic import Field

from glore.api.schemas import RequestModel

UNSUPPORTED_VALUE: Final = "unsupported_value"
UNSUPPORTED_PARAMETER: Final = "unsupported_parameter"

# Accepted beside null; any other value is refused.
NEUTRAL: Final[Mapping[str, Sequence[Any]]] = {
    "audio": [],
    "frequency_penalty": [0],
    "function_call": ["none", "auto"],
    "functions": [[]],
    "logit_bias": [{}],
    "logprobs": [False],
    "modalities": [["text"]],
    "moderation": [],
    "n": [1],
    "presence_penalty": [0],
    "reasoning_effort": [],
    "response_format": [{"type": "text"}],
    "tool_choice": ["none", "auto"],
    "tools": [[]],
    "top_logprobs": [0],
    "verbosity": ["medium"],
    "web_search_options": [],
}
EMPTY: Final[Sequence[Any]] = (None, False, "", [], {})

_Hint: TypeAlias = Annotated[Any, Field(description="Accepted and ignored: changes no answer.")]


class Hints(RequestModel):
    """Parameters about the caller, the cost or the transport of an answer."""

    metadata: _Hint = None
    parallel_tool_calls: _Hint = None  # there are no tools
    prediction: _Hint = None
    prompt_cache_key: _Hint = None
    prompt_cache_options: _Hint = None
    prompt_cache_retention: _Hint = None
    safety_identifier: _Hint = None
    service_tier: _Hint = None
    store: _Hint = None
    user: _Hint = None


def asks_for_nothing(name: str, value: object) -> bool:
    """Whether a parameter has no effect with this value."""
    return value is None or is_one_of(value, NEUTRAL.get(name, ()))


def is_one_of(value: object, values: Sequence[object]) -> bool:
    """Whether JSON has the value among these; to Python, false is 0 as well."""
    return any(isinstance(value, bool) == isinstance(one, bool) and value == one for one in values)


def refusal(name: str) -> tuple[str, str]:
    """The code and the message of a parameter that is refused.

    The value is at fault where the parameter has one that says more than "off": 1, "auto".
    """
    allowed = [json.dumps(value) for value in NEUTRAL.get(name, ()) if value]
    if allowed:
        return UNSUPPORTED_VALUE, f"Only {' or '.join(allowed)} is supported"
    return UNSUPPORTED_PARAMETER, "It is not supported here: leave it out"
