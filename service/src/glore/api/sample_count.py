"""Where `sampling.n` may stand, in the words of JSON Schema: beside `best_of_n` only.

`glore.api.solve.job_of` checks the same. Of a batch it sees each question with the batch's
options, so in a batch both may come from either place.
"""

from typing import Any, Final

from glore.refinement.types import Strategy

_BEST_OF_N: Final[dict[str, Any]] = {"strategy": {"const": Strategy.BEST_OF_N.value}}
_UNCOUNTED: Final[dict[str, Any]] = {"sampling": {"properties": {"n": False}}}
_DRAWS: Final[dict[str, Any]] = {"properties": _BEST_OF_N, "required": ["strategy"]}
_NO_COUNT: Final[dict[str, Any]] = {"properties": _UNCOUNTED}

# Of one question.
ONLY_WHERE_IT_COUNTS: Final[dict[str, Any]] = {"anyOf": [_NO_COUNT, _DRAWS]}

# A question of a batch that draws, or that has a count, unless it says otherwise.
_MAY_DRAW: Final[dict[str, Any]] = {"properties": _BEST_OF_N}
_OWN_SAMPLING: Final[dict[str, Any]] = {"properties": _UNCOUNTED, "required": ["sampling"]}


def _all(*either: dict[str, Any]) -> dict[str, Any]:
    return {"properties": {"questions": {"items": {"anyOf": list(either)}}}}


# Of a batch: by whether the batch itself names `best_of_n`, and a count.
ONLY_WHERE_IT_COUNTS_IN_A_BATCH: Final[dict[str, Any]] = {
    "anyOf": [
        _all(_OWN_SAMPLING, _DRAWS),
        {"allOf": [_DRAWS, _all(_OWN_SAMPLING, _MAY_DRAW)]},
        {"allOf": [_NO_COUNT, _all(_NO_COUNT, _DRAWS)]},
        {"allOf": [_DRAWS, _NO_COUNT, _all(_NO_COUNT, _MAY_DRAW)]},
    ]
}
