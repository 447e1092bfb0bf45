"""Stepwise reward models on a vLLM pooling server: the StepScorer and OutcomeScorer ports.

A family (`glore.formats.scores.ScoreFormat`) says what is sent and how rows become scores. A
count that does not match is `wrong_scores`.
"""

from collections.abc import Sequence

from glore.engines.exchange import EngineHTTP, EngineHTTPError, parse, size_of
from glore.engines.ports import Lease, Scores
from glore.engines.wire import PoolingItem, PoolingResponse
from glore.formats.scores import ORM_COLUMN, SORM_COLUMN, NewlineScores, ScoreFormat, spread
from glore.formats.steps import split_steps


class VllmStepScorer:
    """Fills the StepScorer port: the SORM on a pooling server."""

    def __init__(self, engine: EngineHTTP, model: str, scores: ScoreFormat | None = None) -> None:
        self._engine = engine
        self._model = model
        self._scores = scores or NewlineScores(SORM_COLUMN)

    async def score_steps(
        self,
        question: str,
        steps: Sequence[str],
        *,
        lease: Lease,
    ) -> Scores:
        """One score per step; no call for no steps. Raises EngineError."""
        if not steps:
            return Scores((), 0)
        try:
            values, tokens = await _pool(
                self._engine, self._model, self._scores, question, (steps,), lease
            )
        except EngineHTTPError as fault:
            raise fault.as_error(role="sorm") from fault
        return Scores(values[0], tokens)


class VllmOutcomeScorer:
    """Fills the OutcomeScorer port: the ORM on a pooling server.

    The score of a solution is the one at its last step. A solution without steps has none
    and scores 0, without asking.
    """

    def __init__(self, engine: EngineHTTP, model: str, scores: ScoreFormat | None = None) -> None:
        self._engine = engine
        self._model = model
        self._scores = scores or NewlineScores(ORM_COLUMN)

    async def score_outcomes(
        self,
        question: str,
        solutions: Sequence[str],
        *,
        lease: Lease,
    ) -> Scores:
        """One score per solution, from one call for all. Raises EngineError."""
        texts = [[step.text for step in split_steps(solution)] for solution in solutions]
        scored = [steps for steps in texts if steps]
        if not scored:
            return Scores((0.0,) * len(texts), 0)
        try:
            values, tokens = await _pool(
                self._engine, self._model, self._scores, question, scored, lease
            )
        except EngineHTTPError as fault:
            raise fault.as_error(role="orm") from fault
        return Scores(spread(solutions, (scores[-1] for scores in values)), tokens)


async def _pool(
    engine: EngineHTTP,
    model: str,
    scores: ScoreFormat,
    question: str,
    solutions: Sequence[Sequence[str]],
    lease: Lease,
) -> tuple[list[tuple[float, ...]], int]:
    """Scores per step of each solution (a list of steps), and the prompt tokens.

    Raises EngineHTTPError.
    """
    texts = [scores.encode(question, steps) for steps in solutions]
    payload = {"model": model, "input": texts, "task": "token_classify", **options(scores)}
    size = size_of(sum(map(len, solutions)))  # a row of scores is shorter than a token's event
    body = await engine.post("/pooling", payload, lease=lease, size=size)
    response = parse(PoolingResponse, body)
    if sorted(item.index for item in response.data) != list(range(len(texts))):
        raise EngineHTTPError(reason="wrong_scores")

    def index(item: PoolingItem) -> int:
        return item.index

    try:
        values = [
            scores.decode(item.data, len(steps))
            for item, steps in zip(sorted(response.data, key=index), solutions, strict=True)
        ]
    except (ValueError, IndexError) as error:  # another count, no such column, or outside 0..1
        raise EngineHTTPError(reason="wrong_scores", problem=str(error)) from error  # numbers only
    return values, response.usage.prompt_tokens


def options(scores: ScoreFormat) -> dict[str, object]:
    """What a family adds to a pooling request."""
    return {"use_activation": False} if scores.raw else {}
