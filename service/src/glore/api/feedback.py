"""`POST /feedback`: whether an answer was right, for the metrics of this gateway."""

from typing import Annotated, Any, Final, Self

from fastapi import APIRouter, Body, Depends, Request
from pydantic import BaseModel, ConfigDict, Field, model_validator

from glore.api.context import Context, context_of
from glore.api.openapi import FEEDBACK_ERRORS
from glore.api.record import record_of
from glore.api.schemas import RequestModel
from glore.api.solve import require_json
from glore.errors import AmbiguousIdError, AnswerNotFoundError, FeedbackConflictError
from glore.refinement.types import CandidateKind, Strategy
from glore.telemetry.feedback import LONGEST_ANSWER, Change, RememberedAnswer, SelectionVerdict

_EXACTLY_ONE: Final[dict[str, Any]] = {
    "oneOf": [
        {
            "required": ["correct"],
            "properties": {"correct": {"type": "boolean"}, "expected_answer": {"type": "null"}},
        },
        {
            "required": ["expected_answer"],
            "properties": {"correct": {"type": "null"}, "expected_answer": {"type": "string"}},
        },
    ]
}
_EXAMPLES: Final[dict[str, Any]] = {
    "verdict": {
        "summary": "The answer was right",
        "value": {"id": "solve_0f8fad5bd9cb469fa165708677289501", "correct": True},
    },
    "expected": {
        "summary": "The answer should have been 72",
        "value": {"id": "solve_0f8fad5bd9cb469fa165708677289501", "expected_answer": "72"},
    },
}

router = APIRouter()


class FeedbackRequest(RequestModel):
    """A verdict on one answer: `correct`, or the `expected_answer` to compare it with."""

    model_config = ConfigDict(json_schema_extra=_EXACTLY_ONE)

    id: str = Field(
        min_length=1,
        max_length=200,
        description="Of the answer (`solve_...`), or of its request (`X-Request-ID`).",
    )
    correct: bool | None = Field(default=None, description="Whether the answer was right.")
    expected_answer: str | None = Field(
        default=None,
        min_length=1,
        max_length=LONGEST_ANSWER,
        description="The right answer. Numbers are compared by value, other texts as they are.",
    )

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if (self.correct is None) == (self.expected_answer is None):
            message = "either `correct` or `expected_answer`"
            raise ValueError(message)
        return self


class FeedbackResponse(BaseModel):
    """What the verdict comes to."""

    id: str = Field(description="Of the answer.")
    request_id: str = Field(description="The id of the answer's own request.")
    strategy: Strategy
    kind: CandidateKind = Field(description="Of the candidate that won.")
    correct: bool
    draft_correct: bool | None = Field(description="None where that cannot be known.")
    change: Change = Field(description="What refinement did to the draft's answer.")
    choice: SelectionVerdict = Field(
        description="What the selector did; `regret`: a right candidate was there."
    )
    repeated: bool = Field(description="Whether this verdict had been given before.")


@router.post(
    "/feedback",
    summary="Say whether an answer was right",
    dependencies=[Depends(require_json)],
    responses=FEEDBACK_ERRORS,
)
async def feedback(
    body: Annotated[FeedbackRequest, Body(openapi_examples=_EXAMPLES)],
    request: Request,
    context: Annotated[Context, Depends(context_of)],
) -> FeedbackResponse:
    """Judge an answer that this gateway gave lately; the metrics count what comes of it.

    A gateway remembers its last answers only, and each caller judges its own. The same verdict
    again changes nothing; another one is refused.
    """
    record = record_of(request.scope)
    answer = _found(context.answers.find(body.id, record.client))
    if body.expected_answer is not None:
        judgement = answer.compare(body.expected_answer)
    else:
        judgement = answer.judge(bool(body.correct))
    repeated = answer.judgement is not None
    if answer.judgement is None:
        answer.judgement = judgement
        context.metrics.feedback.judged(answer, judgement)
        if answer.shadow is not None and body.expected_answer is not None:
            context.metrics.shadows.judged(answer.shadow.compare(body.expected_answer))
    elif answer.judgement.correct is not judgement.correct:
        message = "This answer was judged before, and otherwise."
        raise FeedbackConflictError(message)
    judgement = answer.judgement
    record.fields.update(id=answer.solve_id, correct=judgement.correct, repeated=repeated)
    return FeedbackResponse(
        id=answer.solve_id,
        request_id=answer.request_id,
        strategy=Strategy(answer.strategy),
        kind=CandidateKind(answer.kind),
        correct=judgement.correct,
        draft_correct=judgement.draft_correct,
        change=judgement.change,
        choice=judgement.choice,
        repeated=repeated,
    )


def _found(answers: list[RememberedAnswer]) -> RememberedAnswer:
    if not answers:
        message = "This gateway remembers no answer of yours with this id."
        raise AnswerNotFoundError(message)
    if len(answers) > 1:
        message = f"This request has {len(answers)} answers: send the id of one of them."
        raise AmbiguousIdError(message)
    return answers[0]
