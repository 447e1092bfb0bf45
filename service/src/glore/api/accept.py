"""Which of two media types a client would rather have (RFC 9110, section 12.5.1)."""

from collections.abc import Mapping
from typing import Final

_JSON_RANGES: Final = ("application/json", "application/*", "*/*")  # the most specific counts
_DEFAULT_WEIGHT: Final = 1.0
_MOST_RANGES: Final = 50  # that are looked at
_MOST_PARAMETERS: Final = 10  # of each


def prefers_events(accept: str) -> bool:
    """Whether an Accept header names server-sent events, and JSON no more than them.

    JSON is what is given to clients that say nothing, take anything, or name both alike.
    """
    weights = _weights(accept)
    events = weights.get("text/event-stream", 0.0)
    json_range = next((each for each in _JSON_RANGES if each in weights), None)
    json = weights[json_range] if json_range is not None else 0.0
    return events > json or (events == json > 0 and json_range != "application/json")


def _weights(accept: str) -> Mapping[str, float]:
    """The weight of each media range; what is no number weighs nothing."""
    weights: dict[str, float] = {}
    for part in accept.lower().split(",", _MOST_RANGES)[:_MOST_RANGES]:
        media_range, *parameters = (each.strip() for each in part.split(";", _MOST_PARAMETERS))
        weight = _DEFAULT_WEIGHT
        for parameter in parameters:
            name, _, value = parameter.partition("=")
            if name.strip() == "q":
                weight = _weight(value.strip())
        weights[media_range] = weight
    return weights


def _weight(text: str) -> float:
    try:
        weight = float(text)
    except ValueError:
        return 0.0
    return weight if 0.0 <= weight <= 1.0 else 0.0
