"""The profiles: their phases, disturbances and limits."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final, Literal, TypeAlias

from loadtest.profiles.limits import Limit
from loadtest.profiles.schedule import Phase

DisturbanceKind: TypeAlias = Literal["engine_killed", "sorm_hung", "gateways_replaced"]
BEFORE, DURING, AFTER = "before", "during", "after"
SHORT_FACTOR: Final = 20.0  # how much wider the limits of times are in a short run


@dataclass(frozen=True, slots=True)
class Disturbance:
    """What happens to the service, and for how many seconds it runs before, during and after.

    Replacing gateways takes as long as it takes; `during` comes on top.
    """

    kind: DisturbanceKind
    before: float
    during: float
    after: float


@dataclass(frozen=True, slots=True)
class Profile:
    """Phases or a disturbance, and limits. The rates of phases are multiples of the base rate."""

    name: str
    summary: str
    limits: tuple[Limit, ...]
    phases: tuple[Phase, ...] = ()
    disturbance: Disturbance | None = None
    recovers_in: str | None = None
    short: float = 0.1  # how much a short run shortens all times
    gateways: int = 1
    room: int = 8  # questions that a simulated service answers at once; as many may wait

    def stretched(self, factor: float) -> "Profile":
        """The same with all times so many times as long."""
        phases = tuple(replace(each, seconds=each.seconds * factor) for each in self.phases)
        found = self.disturbance
        if found is not None:
            times = [factor * each for each in (found.before, found.during, found.after)]
            found = Disturbance(found.kind, *times)
        return replace(self, phases=phases, disturbance=found)

    def shortened(self) -> "Profile":
        """For a test: seconds in place of minutes, wide limits of times."""
        limits = tuple(each.widened(SHORT_FACTOR) for each in self.limits)
        return replace(self.stretched(self.short), limits=limits)


def _at_most(measure: str, value: float, phase: str = "all", *, slow: bool = False) -> Limit:
    return Limit(measure, value, "at most", phase, slow)


def _at_least(measure: str, value: float, phase: str = "all", *, slow: bool = False) -> Limit:
    return Limit(measure, value, "at least", phase, slow)


# No request is without an outcome, and none fails: it is answered, or refused with Retry-After.
_ACCOUNTED: Final = (_at_most("lost", 0), _at_most("failed", 0))
# The generator itself is in time. Else the other measures mean nothing.
_IN_TIME: Final = (
    _at_most("schedule_delay_p99", 0.5, slow=True),
    _at_least("achieved_share", 0.95, slow=True),
)
_ALL_ANSWERED: Final = (*_ACCOUNTED, _at_most("refused", 0))
_RECOVERY: Final = _at_most("recovery", 10.0, slow=True)
_OVERLOADED: Final = (*_ACCOUNTED, *_IN_TIME, _at_most("refusal_p95", 1.0, slow=True))
_PEAK: Final = 8.0  # times the base rate

_STEADY: Final = Profile(
    "steady",
    "The same rate all the time: every question is answered in time.",
    (
        *_ALL_ANSWERED,
        _at_most("degraded", 0),
        *_IN_TIME,
        _at_most("first_text_p95", 1.0, slow=True),
        _at_most("draft_p95", 2.0, slow=True),
        _at_most("first_error_p95", 2.5, slow=True),
        _at_most("answer_p95", 4.0, slow=True),
    ),
    phases=(Phase("steady", 120.0, 1.0),),
)
_RAMP: Final = Profile(
    "ramp",
    "The rate rises far above capacity and falls again: refusals are well formed, answers come at "
    "nearly their best rate, and the service recovers.",
    (
        *_OVERLOADED,
        _at_least("refused", 1, "overload"),
        _at_least("overload_throughput", 0.6, slow=True),
        _at_most("answer_p95", 10.0, slow=True),
        _RECOVERY,
    ),
    phases=(
        Phase("rise", 90.0, 0.5, _PEAK),
        Phase("overload", 30.0, _PEAK),
        Phase("recovery", 60.0, 1.0),
    ),
    recovers_in="recovery",
    room=4,
)
_SPIKE: Final = Profile(
    "spike",
    "A short burst far above capacity: refusals are well formed, and the service recovers.",
    (
        *_OVERLOADED,
        _at_most("refused", 0, "before"),
        _at_least("refused", 1, "spike"),
        _at_most("answer_p95", 10.0, slow=True),
        _RECOVERY,
    ),
    phases=(
        Phase(BEFORE, 30.0, 1.0),
        Phase("spike", 15.0, _PEAK),
        Phase("recovery", 45.0, 1.0),
    ),
    recovers_in="recovery",
    short=0.25,
    room=4,
)
_SOAK: Final = Profile(
    "soak",
    "Half an hour of the same rate: memory, open files and tasks stay as they are.",
    (
        *_ALL_ANSWERED,
        _at_most("degraded", 0),
        *_IN_TIME,
        _at_most("answer_p95", 4.0, slow=True),
        _at_most("memory_growth_mb", 16.0),
        _at_most("files_growth", 16),
        _at_most("tasks_growth", 32),
    ),
    phases=(Phase("soak", 1800.0, 1.0),),
    short=0.005,
)
_ENGINE_KILLED: Final = Profile(
    "engine",
    "The generation engine is killed under load and started again: questions are refused while it "
    "is away, none is lost, and all are answered soon after.",
    (
        *_ACCOUNTED,
        *_IN_TIME,
        _at_most("refused", 0, BEFORE),
        _at_least("refused", 1, DURING),
        _at_most("refusal_p95", 5.0, slow=True),
        _at_most("answer_p95", 6.0, slow=True),
        _RECOVERY,
    ),
    disturbance=Disturbance("engine_killed", 30.0, 20.0, 40.0),
    recovers_in=AFTER,
    short=0.2,
)
_ROLLING: Final = Profile(
    "rolling",
    "Two gateways behind a balancer are replaced one after the other: every question is answered.",
    (
        *_ALL_ANSWERED,
        *_IN_TIME,
        _at_least("replaced", 2),
        _at_most("answer_p95", 6.0, slow=True),
    ),
    disturbance=Disturbance("gateways_replaced", 20.0, 0.0, 20.0),
    short=0.1,
    gateways=2,
)
_HUNG: Final = Profile(
    "hung",
    "The SORM's engine accepts calls and never answers: questions are answered without its scores, "
    "drafts come as fast as before, and nothing is missing soon after.",
    (
        *_ALL_ANSWERED,
        *_IN_TIME,
        _at_most("degraded", 0, BEFORE),
        _at_least("degraded", 1, DURING),
        _at_most("draft_p95", 2.0, DURING, slow=True),
        _at_most("answer_p95", 8.0, DURING, slow=True),
        _RECOVERY,
    ),
    disturbance=Disturbance("sorm_hung", 30.0, 40.0, 40.0),
    recovers_in=AFTER,
    short=0.2,
)
PROFILES: Final[Mapping[str, Profile]] = MappingProxyType(
    {each.name: each for each in (_STEADY, _RAMP, _SPIKE, _SOAK, _ENGINE_KILLED, _ROLLING, _HUNG)}
)
