"""The values that labels may have. Nothing a client sends becomes a label."""

import itertools
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final, get_args

from prometheus_client import Counter, Gauge, Histogram

from glore.engines.ports import FaultReason, Role
from glore.errors import ProblemError
from glore.refinement.types import (
    CandidateKind,
    DegradedReason,
    Stage,
    Strategy,
)

ROLES: Final[tuple[Role, ...]] = get_args(Role)
FAULTS: Final[tuple[FaultReason, ...]] = get_args(FaultReason)
STAGES: Final = tuple(each.value for each in Stage)
STRATEGIES: Final = tuple(each.value for each in Strategy)
KINDS: Final = tuple(each.value for each in CandidateKind)
DEGRADED_REASONS: Final = (*FAULTS, *(each.value for each in DegradedReason))
# Each stage asks one role, so that metrics by stage and metrics by role can be joined.
ROLE_OF: Final[Mapping[Stage, Role]] = MappingProxyType(
    {
        Stage.DRAFT: "student",
        Stage.SCORE: "sorm",
        Stage.REFINE_GLOBALLY: "global_refiner",
        Stage.REFINE_LOCALLY: "local_refiner",
        Stage.RERANK: "orm",
    }
)
NO_STRATEGY: Final = "none"
OTHER: Final = "other"
_FRAMEWORK: Final = ("bad-request", "not-found", "method-not-allowed", "internal-error")
_OK_BELOW: Final = 400
_GONE: Final = 499
_FAILED_FROM: Final = 500

OK: Final = "ok"  # the outcome of what went well
WAIT_OUTCOMES: Final = ("turn", "timeout", "gone")


def problems() -> tuple[str, ...]:
    """What a problem's type may end with: the slugs of the error tree, and the framework's."""
    return (*(each.slug for each in _leaves(ProblemError)), *_FRAMEWORK, OTHER)


def request_outcome(status: int) -> str:
    """The class of a response's status; 499 is a client that has gone."""
    if status < _OK_BELOW:
        return OK
    if status == _GONE:
        return "gone"
    return "client_error" if status < _FAILED_FROM else "server_error"


def known(metric: Counter | Gauge | Histogram, *values: Iterable[str]) -> None:
    """Make the series of every combination of label values, at zero."""
    for combination in itertools.product(*values):
        metric.labels(*combination)


def _leaves(error: type[ProblemError]) -> list[type[ProblemError]]:
    below = error.__subclasses__()
    return [leaf for each in below for leaf in _leaves(each)] if below else [error]
