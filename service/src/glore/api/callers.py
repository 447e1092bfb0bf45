"""What a client has left of its own budget, in headers: it can only lower a request's budget."""

from dataclasses import dataclass, replace
from typing import Annotated, Final

from fastapi import Depends, Request
from pydantic import BaseModel, Field

from glore.api.header_fields import header_parameters, read_headers
from glore.api.schemas import MIN_DEADLINE_MS
from glore.refinement.types import Budget, Job

DEADLINE_HEADER: Final = "Glore-Deadline-Ms"
CALLS_HEADER: Final = "Glore-Max-Engine-Calls"
TOKENS_HEADER: Final = "Glore-Max-Generated-Tokens"
ANY_NUMBER: Final = 2**31 - 1  # what says nothing
RESERVED_SHARE: Final = 0.2  # of the deadline, at most, is reserved for reranking
_WHAT: Final = "What is left of the caller's own"
_RULE: Final = "the smaller of it and the body's holds."


@dataclass(frozen=True, slots=True)
class ClientBudget:
    """What is left of each; more than any request may have where the caller did not say."""

    deadline_ms: int = ANY_NUMBER
    engine_calls: int = ANY_NUMBER
    generated_tokens: int = ANY_NUMBER

    def bound(self, job: Job) -> Job:
        """The job with the smaller of both budgets."""
        budget = replace(
            job.budget,
            max_calls=min(job.budget.max_calls, self.engine_calls),
            max_generated_tokens=min(job.budget.max_generated_tokens, self.generated_tokens),
        )
        deadline = min(budget.deadline, self.deadline_ms / 1000)
        return replace(job, budget=with_deadline(budget, deadline))


def with_deadline(budget: Budget, deadline: float) -> Budget:
    """The budget with this deadline, with at most RESERVED_SHARE reserved for reranking."""
    reserve = min(budget.rerank_reserve, deadline * RESERVED_SHARE)
    return replace(budget, deadline=deadline, rerank_reserve=reserve)


class _BudgetHeaders(BaseModel):
    deadline_ms: int = Field(
        default=ANY_NUMBER,
        alias=DEADLINE_HEADER,
        ge=MIN_DEADLINE_MS,
        description=f"{_WHAT} deadline; {_RULE}",
    )
    engine_calls: int = Field(
        default=ANY_NUMBER, alias=CALLS_HEADER, ge=1, description=f"{_WHAT} engine calls; {_RULE}"
    )
    generated_tokens: int = Field(
        default=ANY_NUMBER,
        alias=TOKENS_HEADER,
        ge=1,
        description=f"{_WHAT} generated tokens; {_RULE}",
    )


BUDGET_PARAMETERS: Final = header_parameters(_BudgetHeaders)


async def _callers_budget(request: Request) -> ClientBudget:
    given = read_headers(_BudgetHeaders, request)
    deadline = min(given.deadline_ms, ANY_NUMBER)
    return ClientBudget(deadline, given.engine_calls, given.generated_tokens)


ClientBudgetDep = Annotated[ClientBudget, Depends(_callers_budget)]  # what handlers ask for
