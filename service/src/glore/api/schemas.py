"""What `POST /solve` takes and gives. Unknown fields and values of another type are refused."""

import re
from dataclasses import asdict
from typing import Annotated, Any, Final, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from glore.api.explanations import explain
from glore.api.sample_count import ONLY_WHERE_IT_COUNTS
from glore.formats.steps import split_steps
from glore.refinement.runner import Solved
from glore.refinement.types import (
    Candidate,
    CandidateKind,
    Cost,
    SelectionReason,
    Stage,
    Strategy,
)
from glore.verifiers.ports import Finding

MIN_DEADLINE_MS = 100
DEFAULT_DEADLINE_MS = 60_000


# Spelled out, because Python, ECMA-262 and Unicode each count others among white space.
VISIBLE = r"[^\s\x1c-\x1f\x85\ufeff]"


def _not_blank(text: str) -> str:
    if not re.search(VISIBLE, text):
        message = "a question has at least one character that is not white space"
        raise ValueError(message)
    return text


MOST_TOKENS: Final = 1024  # of one solution


def whole(value: object) -> object:
    """1000.0 as 1000: JSON has one kind of number, and both are integers to JSON Schema."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


_Integer = Annotated[int, BeforeValidator(whole)]
_Positive = Annotated[int, Field(ge=1), BeforeValidator(whole)]
Temperature = Annotated[
    float,
    Field(
        ge=0,
        le=2,
        description="0 is greedy. The samples of `best_of_n` use at least 0.7.",
    ),
]
TopP = Annotated[
    float,
    Field(gt=0, le=1, description="Nucleus sampling: the share of likely tokens to draw from."),
]
MaxTokens = Annotated[
    int,
    Field(ge=1, le=MOST_TOKENS, description="Generated tokens of each solution."),
    BeforeValidator(whole),
]
SampleCount = Annotated[
    int,
    Field(
        ge=2,
        le=8,
        description="Candidates of `best_of_n`, the draft included. With another strategy it is "
        "an error.",
    ),
    BeforeValidator(whole),
]


class RequestModel(BaseModel):
    """What a client sends."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


def _not_to_be_sent(schema: dict[str, Any]) -> None:
    """Keep a default out of the document, where a client made from it would send it always."""
    schema["description"] += f" {schema.pop('default')} if left out."


class SamplingIn(RequestModel):
    """How solutions are drawn."""

    temperature: Temperature = 0.0
    top_p: TopP = 1.0
    max_tokens: MaxTokens = 320
    n: SampleCount = Field(default=3, json_schema_extra=_not_to_be_sent)


class BudgetIn(RequestModel):
    """What the whole request may use."""

    deadline_ms: _Integer = Field(
        default=DEFAULT_DEADLINE_MS,
        ge=MIN_DEADLINE_MS,
        description="Milliseconds for the whole request. The server has a limit.",
    )
    max_generated_tokens: _Positive | None = Field(
        default=None,
        description="Generated tokens of the whole request, at most; else the server's limit.",
    )
    max_engine_calls: _Positive | None = Field(
        default=None,
        description="Engine calls of the whole request, at most; else the server's limit.",
    )


class RefinementIn(BudgetIn):
    """What decides how long and from where candidates are refined."""

    rounds: _Positive = Field(
        default=1,
        description="Rounds of refinement at most. `glore`, `gated` and `adaptive` begin another "
        "round while the best candidate does not pass. The server has a limit.",
    )
    verify: bool = Field(
        default=True, description="Whether the server's verifiers check the candidates."
    )
    correct: bool = Field(
        default=False,
        description="Whether a local refinement keeps the refuted step with the right value in it, "
        "where a verifier knows that value.",
    )


class SolveOptions(RefinementIn):
    """How questions are to be answered."""

    strategy: Annotated[Strategy, Field(strict=False)] | None = Field(
        default=None, description="How the question is answered; else the server's choice."
    )
    sampling: SamplingIn = Field(default_factory=SamplingIn)


class SolveRequest(SolveOptions):
    """A question and how it is to be answered."""

    model_config = ConfigDict(json_schema_extra={"allOf": [ONLY_WHERE_IT_COUNTS]})

    question: Annotated[
        str,
        Field(
            min_length=1,  # the most: `job_of`
            description="What is to be answered.",
            json_schema_extra={"pattern": VISIBLE},
        ),
        AfterValidator(_not_blank),
    ]


class SelectedOut(BaseModel):
    """The selected candidate, and why it was selected."""

    candidate: int = Field(description="Its index in `candidates`.")
    kind: CandidateKind = Field(description="What kind of candidate it is.")
    reason: SelectionReason = Field(description="Why it was selected.")
    explanation: str = Field(description="One sentence for people.")


class FindingOut(BaseModel):
    """A claim that a verifier refutes: `step[start:end]` of a candidate, in characters."""

    verifier: str = Field(description="Name of the verifier.")
    step: int = Field(description="Index of the step.")
    start: int = Field(description="Where the wrong value begins in the step.")
    end: int = Field(description="Where it ends.")
    claimed: str = Field(description="The wrong value.")
    expected: str = Field(description="The right value.")
    expression: str = Field(description="The expression that has this value.")

    @classmethod
    def of(cls, finding: Finding) -> Self:
        """A finding as it is shown."""
        return cls(**asdict(finding))


class CandidateOut(BaseModel):
    """One whole solution."""

    kind: CandidateKind = Field(description="How it was made.")
    solution: str = Field(description="Its text, one step a line.")
    answer: str | None = Field(description="The number that it states; null where none is certain.")
    outcome_score: float | None = Field(description="The ORM's score, 0..1; null without one.")
    finish_reason: str = Field(
        description="`stop`; `length` when it was cut off; `stopped` at the end of a refuted "
        "step, after which `gated` and `adaptive` write no further."
    )
    findings: list[FindingOut] = Field(description="What the verifiers refute in it.")
    base: int | None = Field(description="Of a refinement: the index of what was refined.")

    @classmethod
    def of(cls, candidate: Candidate) -> Self:
        """A candidate as it is shown."""
        return cls(
            kind=candidate.kind,
            solution=candidate.solution,
            answer=candidate.answer,
            outcome_score=candidate.outcome_score,
            finish_reason=candidate.finish_reason,
            findings=[FindingOut.of(finding) for finding in candidate.findings],
            base=candidate.base,
        )


class StepOut(BaseModel):
    """One line of the draft."""

    index: int = Field(description="From 0.")
    text: str = Field(description="The line.")
    score: float | None = Field(description="The SORM's score, 0..1; null without one.")


class DraftOut(BaseModel):
    """The draft, step by step."""

    steps: list[StepOut]
    first_error: int | None = Field(
        description="Index of the first step that a verifier refutes, else of the first that "
        "scores below the threshold."
    )
    first_error_by: str | None = Field(description="`sorm`, or the name of the verifier.")
    threshold: float = Field(description="A step that scores below it is an error.")
    critique: str | None = Field(
        description="The draft with `[BAD]` before its first error, as the local refiner reads it."
    )

    @classmethod
    def of(cls, outcome: Solved) -> Self:
        """The draft's steps; scores are None when it was not scored."""
        scores = outcome.draft.step_scores
        return cls(
            steps=[
                StepOut(
                    index=step.index, text=step.text, score=scores[step.index] if scores else None
                )
                for step in split_steps(outcome.draft.solution)
            ],
            first_error=outcome.first_error.step if outcome.first_error else None,
            first_error_by=outcome.first_error.found_by if outcome.first_error else None,
            threshold=outcome.state.job.threshold,
            critique=outcome.critique,
        )


class StageOut(BaseModel):
    """One run of a stage. Stages overlap, so their seconds do not add up."""

    stage: Stage = Field(description="Which kind of engine work.")
    started: float = Field(description="Seconds from the start of the request.")
    seconds: float = Field(description="From its start to its result.")
    engine_calls: int = Field(description="Calls that it made, retries included.")
    prompt_tokens: int = Field(description="Tokens that the engines read.")
    generated_tokens: int = Field(description="Tokens that the engines wrote.")

    @classmethod
    def of(cls, cost: Cost) -> Self:
        """A stage's cost as it is shown, in milliseconds' precision."""
        return cls(
            stage=cost.stage,
            started=round(cost.started, 3),
            seconds=round(cost.seconds, 3),
            engine_calls=cost.engine_calls,
            prompt_tokens=cost.prompt_tokens,
            generated_tokens=cost.generated_tokens,
        )


class UsageOut(BaseModel):
    """What the whole request used."""

    seconds: float = Field(
        description="From the start of the work to the answer, without the queue."
    )
    engine_calls: int = Field(description="Calls of all stages, retries included.")
    prompt_tokens: int = Field(description="Tokens that the engines read.")
    generated_tokens: int = Field(
        description="Tokens that the engines wrote, those of lost candidates included."
    )
    stages: list[StageOut] = Field(description="Each run of each stage.")

    @classmethod
    def of(cls, outcome: Solved) -> Self:
        """Sums over the stages, and the stages."""
        costs = outcome.state.costs
        return cls(
            seconds=round(outcome.seconds, 3),
            engine_calls=outcome.state.engine_calls,
            prompt_tokens=sum(cost.prompt_tokens for cost in costs),
            generated_tokens=outcome.state.generated_tokens,
            stages=[StageOut.of(cost) for cost in costs],
        )


class DegradedOut(BaseModel):
    """A stage that failed."""

    stage: Stage = Field(description="The stage that failed.")
    reason: str = Field(description="What the engine did, or which budget was used up.")


class SolveResponse(BaseModel):
    """The answer, and how it was found."""

    id: str = Field(description="The id of this answer.")
    request_id: str = Field(description="The id of the request, as in `X-Request-ID`.")
    strategy: Strategy = Field(description="The strategy that was used.")
    answer: str | None = Field(
        description="The number of the selected solution; null where none is certain."
    )
    solution: str = Field(description="The text of the selected candidate.")
    selected: SelectedOut = Field(description="Which candidate is the answer, and why.")
    candidates: list[CandidateOut] = Field(description="All solutions, the draft first.")
    draft: DraftOut = Field(description="The steps of the draft, and its first error.")
    rounds: int = Field(description="Rounds of refinement that began.")
    usage: UsageOut = Field(description="What the request cost.")
    degraded: list[DegradedOut] = Field(description="What is missing, and why.")

    @classmethod
    def of(cls, outcome: Solved, *, solve_id: str, request_id: str) -> Self:
        """The response to an answered question."""
        selected = outcome.selected
        return cls(
            id=solve_id,
            request_id=request_id,
            strategy=outcome.state.job.strategy,
            answer=selected.answer,
            solution=selected.solution,
            selected=SelectedOut(
                candidate=outcome.selection.candidate,
                kind=selected.kind,
                reason=outcome.selection.reason,
                explanation=explain(outcome),
            ),
            candidates=[CandidateOut.of(candidate) for candidate in outcome.state.candidates],
            draft=DraftOut.of(outcome),
            rounds=outcome.state.round,
            usage=UsageOut.of(outcome),
            degraded=[
                DegradedOut(stage=item.stage, reason=str(item.reason))
                for item in outcome.state.degraded
            ],
        )
