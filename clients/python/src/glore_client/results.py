"""Data that is sent and received, as frozen values.

Fields that a newer gateway adds are ignored; words it may add (kinds, reasons, stages) are
plain strings, so that an older client still works.
"""

from collections.abc import Iterable, Mapping
from typing import Annotated, Literal, TypeAlias, TypeVar

from pydantic import BaseModel, ConfigDict, FailFast, Field

from glore_client.keywords import names_nearest
from glore_client.showing import as_html, as_text, in_words
from glore_client.visible import excerpt

T = TypeVar("T")
# A list of which only the first wrong item is reported: a server could send millions.
Items: TypeAlias = Annotated[tuple[T, ...], FailFast()]
Strategy: TypeAlias = Literal["glore", "gated", "adaptive", "draft", "global", "local", "best_of_n"]
_SHORT = 60  # characters of one field in `repr`


@names_nearest
class Sampling(BaseModel):
    """How solutions are drawn; the gateway chooses what is None."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    temperature: float | None = None  # 0..2; 0 is greedy
    top_p: float | None = None  # above 0, up to 1
    max_tokens: int | None = None  # per solution
    n: int | None = None  # candidates of best_of_n, the draft included; with it only


class Received(BaseModel):
    """Data from a gateway; unknown fields are left out."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Finding(Received):
    """A claim that a verifier refutes: `step[start:end]` of a candidate, in characters."""

    verifier: str
    step: int  # index
    start: int
    end: int
    claimed: str
    expected: str  # the right value
    expression: str = ""  # whose value it is

    def __str__(self) -> str:
        """Say it in words: `45 x 2/3 = 28: it is 30`."""
        return in_words(self)


class Candidate(Received):
    """One whole solution. `answer` is None when it states none."""

    kind: str  # "draft", "sample", "global_refinement", "local_refinement"
    solution: str
    answer: str | None = None
    outcome_score: float | None = None  # 0..1, None when not ranked
    finish_reason: str  # "stop"; "length" when cut off; "stopped" at a refuted step
    findings: Items[Finding] = ()  # with any, the candidate is refuted
    base: int | None = None  # of a refinement: the index of what was refined

    @property
    def findings_by_step(self) -> dict[int, list[Finding]]:
        """The findings of each step that has any, by its index."""
        found: dict[int, list[Finding]] = {}
        for each in self.findings:
            found.setdefault(each.step, []).append(each)
        return found


class Selected(Received):
    """Which candidate won and why."""

    candidate: int  # its index in `candidates`
    kind: str
    reason: str
    explanation: str


class Step(Received):
    """One line of the draft. A score is 0..1, None when steps were not scored."""

    index: int
    text: str
    score: float | None = None


class Draft(Received):
    """The draft as the step scorer saw it.

    `first_error` is the index of the first step that a verifier refutes, else of the first scored
    below `threshold`; `critique` is the marked draft that the local refiner read. Both None when
    no error was found or looked for.
    """

    steps: Items[Step]
    first_error: int | None = None
    first_error_by: str | None = None  # "sorm", or the name of the verifier
    threshold: float
    critique: str | None = None


class StageUsage(Received):
    """What one stage used; times in seconds, `started` counted from the request's start."""

    stage: str  # "draft", "score", "refine_globally", "refine_locally", "rerank"
    started: float
    seconds: float
    engine_calls: int
    prompt_tokens: int
    generated_tokens: int


class Usage(Received):
    """What the whole request used; stages run side by side, so their times do not add up."""

    seconds: float
    engine_calls: int
    prompt_tokens: int
    generated_tokens: int
    stages: Items[StageUsage] = ()


class Degraded(Received):
    """A stage without a result, and why."""

    stage: str
    reason: str


class SolveResult(Received):
    """The answer to a question, and how it came about."""

    id: str
    request_id: str
    strategy: str
    answer: str | None = None
    solution: str
    selected: Selected
    candidates: Items[Candidate] = Field(min_length=1)
    draft: Draft
    rounds: int = 1  # of refinement that were begun
    usage: Usage
    degraded: Items[Degraded] = ()

    def __str__(self) -> str:
        """Describe it for a person: the answer, the scored steps, the candidates, the cost."""
        return as_text(self)

    def __repr_args__(self) -> Iterable[tuple[str, object]]:
        """What `repr` and pretty printers show: enough to recognise it, in a bounded length."""
        yield "answer", None if self.answer is None else excerpt(self.answer, _SHORT)
        yield "selected", excerpt(self.selected.kind, _SHORT)
        yield "strategy", excerpt(self.strategy, _SHORT)
        yield "candidates", len(self.candidates)
        yield "id", excerpt(self.id, _SHORT)

    def _repr_html_(self) -> str:
        """Show it in a notebook."""
        return as_html(self)


class Feedback(Received):
    """A verdict on an answer. `draft_correct` is None if it is not known."""

    id: str  # of the answer
    request_id: str  # of the request that it answers
    strategy: str
    kind: str  # of the candidate that won
    correct: bool
    draft_correct: bool | None = None
    change: str  # "mended", "spoilt", "kept_right", "kept_wrong" or "unknown"
    choice: str  # "right", "regret" (a right candidate was there), "none_right" or "unknown"
    repeated: bool = False  # whether this verdict had been sent before


class Readiness(Received):
    """Whether the gateway can answer, and the state of each engine."""

    status: str  # "ready", "degraded", "not_ready" or "stopping"
    version: str = ""  # of the gateway; empty if it is older than this field
    engines: Mapping[str, str] = Field(default_factory=dict)  # engine -> "ready", "starting", ...
    missing_models: Mapping[str, tuple[str, ...]] | None = None  # by engine
    problems: Mapping[str, str] | None = None  # engine -> why it does not fit its roles
    circuits: Mapping[str, str] | None = (
        None  # engine -> "open", "half_open"; the others are closed
    )
    serves: str | None = None  # a hash of models and thresholds, where the gateway knows them

    @property
    def ready(self) -> bool:
        """Whether all required engines answer."""
        return self.status == "ready"

    @property
    def degraded(self) -> bool:
        """Whether it answers without an engine that is down."""
        return self.status == "degraded"


class FieldError(Received):
    """A field of the request and what is wrong with it."""

    field: str
    message: str


class Problem(Received):
    """An error as the gateway states it (RFC 9457)."""

    type: str = "about:blank"
    title: str = ""
    status: int | None = Field(default=None, ge=100, le=999)
    detail: str | None = None
    request_id: str | None = None
    errors: Items[FieldError] = ()
    retry_after: int | None = Field(default=None, ge=0)  # seconds
