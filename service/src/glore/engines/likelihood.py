"""A language model on a vLLM server as the ORM: solutions ranked by their likelihood."""

from collections.abc import Sequence
from typing import Final

from glore.engines.exchange import EngineHTTP, EngineHTTPError, parse, size_of
from glore.engines.ports import Lease, Scores
from glore.engines.wire import EchoedResponse
from glore.formats.likelihood import LikelihoodScores
from glore.formats.scores import spread
from glore.formats.steps import split_steps

_VALUES_PER_CHARACTER: Final = 16  # of JSON: vLLM's answer has 14 for each token of the text
_MOST_VALUES: Final = 20_000  # to parse more at once would hold up the event loop
_CHARACTERS_PER_SIZE: Final = 8  # `size_of` gives 2 KiB for each; a token takes 130 bytes


class VllmLikelihoodScorer:
    """Fills the OutcomeScorer port through `POST /v1/completions`.

    The server echoes each text with the log-probability of every token. All solutions are in one
    call. A solution without steps is nothing to read and scores 0, without asking. vLLM generates
    one token for each text and drops it; it is not counted as the request's.
    """

    def __init__(self, engine: EngineHTTP, model: str, scores: LikelihoodScores) -> None:
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
        """One score per solution, from one call for all. Raises EngineError."""
        scorable = [solution for solution in solutions if split_steps(solution)]
        if not scorable:
            return Scores((0.0,) * len(solutions), 0)
        try:
            scored, tokens = await likelihoods(
                self._engine, self._model, self._scores, question, scorable, lease
            )
        except EngineHTTPError as fault:
            raise fault.as_error(role="orm") from fault
        return Scores(spread(solutions, scored), tokens)


async def likelihoods(
    engine: EngineHTTP,
    model: str,
    scores: LikelihoodScores,
    question: str,
    solutions: Sequence[str],
    lease: Lease,
) -> tuple[list[float], int]:
    """The score of each solution, and the prompt tokens. Raises EngineHTTPError."""
    texts = [scores.encode(question, solution) for solution in solutions]
    payload = {
        "model": model,
        "prompt": [text for text, _ in texts],
        "echo": True,
        "logprobs": 0,
        "max_tokens": 0,
    }
    characters = sum(len(text) for text, _ in texts)
    size = size_of(characters // _CHARACTERS_PER_SIZE)
    body = await engine.post("/v1/completions", payload, lease=lease, size=size)
    values = min(_VALUES_PER_CHARACTER * characters, _MOST_VALUES)
    response = parse(EchoedResponse, body, more_values=values)
    choices = {choice.index: choice.logprobs for choice in response.choices}
    if len(response.choices) != len(texts) or choices.keys() != set(range(len(texts))):
        raise EngineHTTPError(reason="wrong_scores")
    try:
        found = [
            scores.decode(choices[index].token_logprobs, choices[index].text_offset, start)
            for index, (_, start) in enumerate(texts)
        ]
    except ValueError as error:
        raise EngineHTTPError(reason="wrong_scores", problem=str(error)) from error  # numbers only
    return found, response.usage.prompt_tokens
