"""The vocabulary of the algorithm as frozen values. Read this file first.

A request becomes a `Job`. The policy looks at a `State` and names `Action`s; the runner
carries them out and feeds each result back as an `Event`; when the policy says `Finish`,
the state and the `Selection` in it are the answer.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Final, Literal, TypeAlias

from glore.engines.ports import FaultReason
from glore.verifiers.ports import Finding


class Strategy(StrEnum):
    """How a question is answered; chosen per request."""

    GLORE = "glore"  # draft, both refinements, the ORM picks one of the three (the paper)
    GATED = "gated"  # the draft if it passes, otherwise as `glore`
    ADAPTIVE = "adaptive"  # one candidate after the other, until one passes
    DRAFT = "draft"  # the draft alone
    GLOBAL = "global"  # the global refinement of the draft, unranked
    LOCAL = "local"  # the local refinement of the draft, unranked; the draft if no error is found
    BEST_OF_N = "best_of_n"  # the draft and n-1 samples, the ORM picks one


@dataclass(frozen=True, slots=True)
class Plan:
    """What a strategy does after the draft.

    A candidate passes when no verifier refutes it and no step scores below the gate.
    """

    refines_globally: bool = False
    refines_locally: bool = False
    samples: bool = False  # further solutions of the student are candidates
    ranks: bool = False  # the best candidate is the answer, not the last
    gated: bool = False  # a draft that passes is the answer
    in_turn: bool = False  # candidates are written one at a time; the first that passes wins
    stops_refuted: bool = False  # beside the draft, a text ends at its first refuted step


PLANS: Final[Mapping[Strategy, Plan]] = MappingProxyType(
    {
        Strategy.GLORE: Plan(refines_globally=True, refines_locally=True, ranks=True),
        Strategy.GATED: Plan(
            refines_globally=True,
            refines_locally=True,
            ranks=True,
            gated=True,
            stops_refuted=True,
        ),
        Strategy.ADAPTIVE: Plan(
            refines_globally=True,
            refines_locally=True,
            samples=True,
            ranks=True,
            gated=True,
            in_turn=True,
            stops_refuted=True,
        ),
        Strategy.DRAFT: Plan(),
        Strategy.GLOBAL: Plan(refines_globally=True),
        Strategy.LOCAL: Plan(refines_locally=True),
        Strategy.BEST_OF_N: Plan(samples=True, ranks=True),
    }
)


def gate_of(strategy: Strategy, gate: float, *, verified: bool) -> float | None:
    """The gate that a job gets: none where verifiers say which draft a gated strategy refines.

    They were chosen over step scores (docs/log.md).
    """
    return None if PLANS[strategy].gated and verified else gate


class CandidateKind(StrEnum):
    """Where a candidate came from."""

    DRAFT = "draft"
    SAMPLE = "sample"
    GLOBAL = "global_refinement"
    LOCAL = "local_refinement"


class Stage(StrEnum):
    """A kind of engine work; tokens and time are reported per stage."""

    DRAFT = "draft"
    SCORE = "score"
    REFINE_GLOBALLY = "refine_globally"
    REFINE_LOCALLY = "refine_locally"
    RERANK = "rerank"


class SelectionReason(StrEnum):
    """Why the selected candidate won."""

    ONLY_CANDIDATE = "only_candidate"  # There is no other whole candidate.
    ACCEPTED = "accepted"  # With `gated` or `adaptive`: the draft passes.
    VERIFIED = "verified"  # It is the only candidate that no verifier refutes.
    STRATEGY = "strategy"  # `draft`, `global` and `local` do not rank.
    OUTCOME_SCORE = "outcome_score"  # It has the highest score of the ORM.
    STEP_SCORE = "step_score"  # Without the ORM: its lowest step score is the highest.
    AGREEMENT = "agreement"  # Without scores: most candidates have its answer.
    FALLBACK = "fallback"  # There are no scores and no majority: the draft is selected.


class DegradedReason(StrEnum):
    """Why a stage is missing although no engine reported a fault."""

    DEADLINE = "deadline"  # The time of the request was up.
    CALL_CAP = "call_cap"  # The request had no engine call left.
    TOKEN_CAP = "token_cap"  # noqa: S105 - No generated tokens were left, or they cut a text short.


# How one run of a stage ended; `stopped`: nothing had a use for it any more.
StageOutcome: TypeAlias = Literal["ok", "failed", "stopped"]

# Time ran out, that of an engine or that of the request; no other fault was seen.
TIMED_OUT: Final[frozenset[FaultReason | DegradedReason]] = frozenset(
    {"timeout", DegradedReason.DEADLINE}
)


@dataclass(frozen=True, slots=True)
class Sampling:
    """How completions are drawn. `n` counts candidates of `best_of_n`, the draft included."""

    temperature: float = 0.0
    top_p: float = 1.0
    max_tokens: int = 320  # per completion
    n: int = 3
    sample_temperature: float = 0.7  # of the n-1 further samples, when `temperature` is lower


@dataclass(frozen=True, slots=True)
class Budget:
    """What one request may use. It only shrinks on the way down."""

    deadline: float  # seconds from the start of the request
    max_calls: int  # engine calls
    max_generated_tokens: int
    rerank_reserve: float = 1.0  # seconds reserved for reranking while refinements run


@dataclass(frozen=True, slots=True)
class Job:
    """One question and how it is to be answered."""

    question: str
    strategy: Strategy
    sampling: Sampling
    budget: Budget
    threshold: float  # a step score below it is an error
    gate: float | None  # a candidate with a step score below it does not pass; None: no matter
    rounds: int = 1  # of refinement, while the best candidate does not pass
    verify: bool = True  # whether the verifiers check the candidates
    correct: bool = False  # whether local refinements go on from a corrected step

    @property
    def plan(self) -> Plan:
        """What its strategy does after the draft."""
        return PLANS[self.strategy]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A whole solution. `answer` is parsed from it, None when it states none.

    `completion_offset` is where generated text starts: 0, or the length of the kept prefix
    of a local refinement.
    """

    kind: CandidateKind
    solution: str
    answer: str | None
    finish_reason: str
    completion_offset: int = 0
    outcome_score: float | None = None
    step_scores: tuple[float, ...] | None = None  # one per step of `solution`
    findings: tuple[Finding, ...] = ()  # of the verifiers, in the order of the text
    base: int | None = None  # of a refinement: the index of the candidate that was refined


@dataclass(frozen=True, slots=True)
class Cost:
    """What one run of a stage used, whether it gave something or not.

    `seconds` is wall time from start to result. Stages overlap, and a stage that ran twice
    (SORM scores of several candidates) has an entry for each run.
    """

    stage: Stage
    started: float  # seconds from the start of the request
    seconds: float
    engine_calls: int
    prompt_tokens: int
    generated_tokens: int  # as engines counted them; of failed calls those reported
    lost_tokens: int = 0  # granted to calls that were lost, and perhaps generated unseen
    outcome: StageOutcome = "ok"


@dataclass(frozen=True, slots=True)
class Degradation:
    """A stage that gave nothing, and why. `explanation` is that of an EngineError."""

    stage: Stage
    reason: FaultReason | DegradedReason
    explanation: str = field(default="", compare=False)


# --- actions: what to do now -------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Draft:
    """Draw the draft, and `samples` further solutions beside it (0 unless best_of_n)."""

    samples: int
    max_tokens: int  # of the draft
    sample_max_tokens: int  # of each sample; 0 without samples


@dataclass(frozen=True, slots=True)
class ScoreSteps:
    """Score the steps of the candidate with this index in `State.candidates` with the SORM."""

    candidate: int


@dataclass(frozen=True, slots=True)
class RefineGlobally:
    """Rewrite the candidate with the index `base` as a whole.

    From the second round on refinements are sampled, so that they are not the same again.
    """

    max_tokens: int
    base: int = 0
    round: int = 1


@dataclass(frozen=True, slots=True)
class RefineLocally:
    """Rewrite the candidate with the index `base` from this step on.

    `correction` is what a verifier found in that step: the refinement goes on behind the step with
    the right value in it.
    """

    first_error: int
    max_tokens: int
    base: int = 0
    round: int = 1
    correction: Finding | None = None


@dataclass(frozen=True, slots=True)
class Sample:
    """Draw one more solution of the student."""

    max_tokens: int
    round: int = 1


@dataclass(frozen=True, slots=True)
class ScoreDraftOutcome:
    """Score the draft with the ORM while it is refined, so that the rerank has less to do."""


@dataclass(frozen=True, slots=True)
class Rerank:
    """Score with the ORM the contenders whose outcome score is neither known nor on its way."""

    round: int = 1


@dataclass(frozen=True, slots=True)
class Selection:
    """The winner (its index in `State.candidates`) and why it won."""

    candidate: int
    reason: SelectionReason


@dataclass(frozen=True, slots=True)
class Finish:
    """Nothing is left to do. `selection` is None only when there is no draft."""

    selection: Selection | None


Writing: TypeAlias = RefineGlobally | RefineLocally | Sample  # what adds one candidate
Action: TypeAlias = Draft | ScoreSteps | Writing | ScoreDraftOutcome | Rerank | Finish


# --- events: what an action gave ---------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Drafted:
    """The draft first, then the samples. Never empty.

    When the call for the draft failed and samples are there, the first of them is the draft.
    `degraded` says what is missing.
    """

    candidates: tuple[Candidate, ...]
    degraded: tuple[Degradation, ...] = ()


@dataclass(frozen=True, slots=True)
class StepsScored:
    """Step scores of one candidate: one per step."""

    candidate: int
    scores: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Refined:
    """A global or local refinement, or a further sample."""

    candidate: Candidate


@dataclass(frozen=True, slots=True)
class DraftOutcomeScored:
    """The ORM score of the draft."""

    score: float


@dataclass(frozen=True, slots=True)
class Reranked:
    """ORM scores, one per candidate in the state, in order; None for those not scored."""

    scores: tuple[float | None, ...]


@dataclass(frozen=True, slots=True)
class ActionFailed:
    """An action that gave nothing: its stage is not tried again."""

    action: Action
    degradation: Degradation


@dataclass(frozen=True, slots=True)
class Stopped:
    """An action that was cancelled because nothing had a use for it any more."""

    action: Action


Event: TypeAlias = (
    Drafted | StepsScored | Refined | DraftOutcomeScored | Reranked | ActionFailed | Stopped
)


# --- state -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class State:
    """Everything known about one request so far."""

    job: Job
    candidates: tuple[Candidate, ...] = ()  # the draft first, in order of arrival after it
    round: int = 1  # of refinement
    base: int = 0  # the index of the candidate that this round refines
    started: frozenset[Action] = field(default_factory=frozenset)  # handed to the runner
    ended: frozenset[Action] = field(default_factory=frozenset)  # with a result or a failure
    degraded: tuple[Degradation, ...] = ()
    costs: tuple[Cost, ...] = ()
    engine_calls: int = 0  # of ended actions
    reserved_calls: int = 0  # by actions in flight, beyond those promised to them
    reserved_tokens: int = 0
    generated_tokens: int = 0  # of ended actions, known
    lost_tokens: int = 0  # of ended actions, perhaps generated unseen
    ranked_singly: bool = False  # the ORM makes a call for each candidate
