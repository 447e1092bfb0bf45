"""A sequence-classification reward model on a vLLM server, as the ORM."""

import asyncio
from collections.abc import Sequence

from glore.engines.exchange import EngineHTTP, EngineHTTPError, parse, size_of
from glore.engines.ports import Lease, NoCallLeftError, Scores
from glore.engines.wire import ClassificationResponse
from glore.formats.scores import spread
from glore.formats.sequence_scores import SequenceScores
from glore.formats.steps import split_steps


class VllmSequenceScorer:
    """Fills the OutcomeScorer port through `POST /classify`.

    vLLM takes one conversation per request there, so the solutions go out side by side. A
    solution without steps is nothing to read and scores 0, without asking.
    """

    def __init__(self, engine: EngineHTTP, model: str, scores: SequenceScores) -> None:
        self._engine = engine
        self._model = model
        self._scores = scores

    async def score_outcomes(
        self,
        question: str,
        solutions: Sequence[str],
        *,
        lease: Lease,
    ) -> Scores:
        """One score per solution. Raises EngineError, and NoCallLeftError."""
        scorable = [solution for solution in solutions if split_steps(solution)]
        if len(scorable) > 1 and not lease.reserve_calls(len(scorable) - 1):
            raise NoCallLeftError
        try:
            scored = await self._side_by_side(question, scorable, lease)
        except EngineHTTPError as fault:
            raise fault.as_error(role="orm") from fault
        values = spread(solutions, (value for value, _ in scored))
        return Scores(values, sum(tokens for _, tokens in scored))

    async def _side_by_side(
        self,
        question: str,
        solutions: Sequence[str],
        lease: Lease,
    ) -> list[tuple[float, int]]:
        """Score and prompt tokens of each. Raises the first Fault, which ends the other calls."""
        engine, model, scores = self._engine, self._model, self._scores
        calls = [
            asyncio.ensure_future(classify(engine, model, scores, question, solution, lease))
            for solution in solutions
        ]
        try:
            return await asyncio.gather(*calls)
        finally:
            for call in calls:
                call.cancel()
            await asyncio.gather(*calls, return_exceptions=True)


async def classify(
    engine: EngineHTTP,
    model: str,
    scores: SequenceScores,
    question: str,
    solution: str,
    lease: Lease,
) -> tuple[float, int]:
    """The score of one solution and its prompt tokens. Raises EngineHTTPError."""
    turns = scores.encode(question, solution)
    payload = {
        "model": model,
        "messages": [{"role": turn.role, "content": turn.content} for turn in turns],
        "use_activation": False,
    }
    body = await engine.post("/classify", payload, lease=lease, size=size_of(0))
    response = parse(ClassificationResponse, body)
    try:
        value = scores.decode([item.probs for item in response.data])
    except ValueError as error:
        raise EngineHTTPError(reason="wrong_scores", problem=str(error)) from error  # numbers only
    return value, response.usage.prompt_tokens
