"""What `POST /solve/batch` takes and gives: many questions in, a line for each out."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from glore.api.problems import Problem
from glore.api.sample_count import ONLY_WHERE_IT_COUNTS_IN_A_BATCH
from glore.api.schemas import SolveOptions, SolveRequest, SolveResponse


class BatchQuestion(SolveRequest):
    """One question, a line of NDJSON. Options that it leaves out are those of the batch."""

    model_config = ConfigDict(json_schema_extra=None)  # a question's rule depends on its batch

    id: Annotated[str, Field(max_length=200)] | None = Field(
        default=None, description="The client's own name for it, which its line has too."
    )


class BatchRequest(SolveOptions):
    """Questions, and the options of those that have none of their own."""

    model_config = ConfigDict(json_schema_extra={"allOf": [ONLY_WHERE_IT_COUNTS_IN_A_BATCH]})

    questions: list[BatchQuestion] = Field(
        min_length=1, description="The questions, each with options of its own if it needs them."
    )


def resolved(options: SolveOptions, question: BatchQuestion) -> SolveRequest:
    """The question with its own options, else those of its batch, else the defaults."""
    given = {
        name: getattr(source, name)
        for source in (options, question)
        for name in source.model_fields_set & SolveRequest.model_fields.keys()
    }
    return SolveRequest(**given)


class BatchLine(BaseModel):
    """The result of one question. Lines come in the order in which questions end."""

    index: int = Field(description="Its index in the batch, from 0.")
    id: str | None = Field(description="The client's own name for the question.")
    status: Literal["ok", "error"] = Field(description="Whether it has a result.")
    result: SolveResponse | None = Field(description="With `ok`.")
    error: Problem | None = Field(description="With `error`. The question may be sent again.")


class BatchDone(BaseModel):
    """The last line: every question has one. A response without a last line was cut off."""

    done: Literal[True] = Field(description="Every question has a line.")
    ok: int = Field(description="Questions with a result.")
    errors: int = Field(description="Questions with an error.")


class BatchBroken(BaseModel):
    """The last line of a batch that broke: the store failed, or the gateway stops.

    Questions without a line have no answer. With an idempotency key the results are
    stored, and the batch continues when it is sent again.
    """

    done: Literal[False] = Field(description="Some questions may have no line.")
    ok: int = Field(description="Questions with a result so far.")
    errors: int = Field(description="Questions with an error so far.")
    error: Problem = Field(description="Why the batch ended.")
