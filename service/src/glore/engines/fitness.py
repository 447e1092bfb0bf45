"""Whether a server can play the family it was given: checked once, when it becomes healthy.

A tokenizer that merges or splits a separator, a server that pools at another token, a model with
another head, a chat template that closes a turn that is to be gone on with: each would cost
every answer its scores or its refinement. So a small example goes the whole way first, and what
does not fit is explained in a sentence. The example's own text is all that these sentences quote.
"""

from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias

from glore.engines.classify import classify
from glore.engines.exchange import EngineHTTP, EngineHTTPError, parse
from glore.engines.generating import conversation
from glore.engines.likelihood import likelihoods
from glore.engines.ports import Lease
from glore.engines.scoring import options
from glore.engines.wire import DetokenizeResponse, PoolingResponse, TokenizeResponse
from glore.formats.chat import ChatPrompts
from glore.formats.likelihood import LikelihoodScores
from glore.formats.scores import ScoreFormat
from glore.formats.sequence_scores import SequenceScores

# seconds for each question -> what is wrong, or None. Raises EngineHTTPError when the server fails.
Check: TypeAlias = Callable[[float], Awaitable[str | None]]

QUESTION: Final = "Tom has 3 boxes with 12 pens each. He gives away 7. How many pens are left?"
STEPS: Final = ("3 x 12 = 36 pens.", "36 - 7 = 29 pens are left.", "#### 29")
SOLUTION: Final = "\n".join(STEPS)
_REFUSALS: Final = frozenset({400, 404, 405, 422})


def stepwise(engine: EngineHTTP, model: str, scores: ScoreFormat) -> Check:
    """The tokenizer keeps every separator whole, and the server scores just those."""

    async def check(timeout: float) -> str | None:
        lease = Lease(timeout)
        text = scores.encode(QUESTION, STEPS)
        request = {"model": model, "prompt": text, "return_token_strs": True}
        tokenized = parse(TokenizeResponse, await engine.post("/tokenize", request, lease=lease))
        wanted = scores.prompt_rows + len(STEPS)
        found = (tokenized.token_strs or ()).count(scores.separator)
        if found != wanted:
            return (
                f"the tokenizer of {model} merges or splits the separator {scores.separator!r}: "
                f"{found} of {wanted} are tokens of their own, so steps cannot be scored"
            )
        payload = {"model": model, "input": [text], "task": "token_classify", **options(scores)}
        pooled = parse(PoolingResponse, await engine.post("/pooling", payload, lease=lease))
        rows = pooled.data[0].data if pooled.data else ()
        try:
            scores.decode(rows, len(STEPS))
        except ValueError as error:
            return (
                f"{model} does not score at the separator {scores.separator!r}: {error}; start "
                'its server with --pooler-config \'{"task": "token_classify", '
                f'"tok_pooling_type": "STEP", "step_tag_id": {_id_of(tokenized, scores)}}}\''
            )
        return None

    return _with_refusals_explained(model, check)


def sequence(engine: EngineHTTP, model: str, scores: SequenceScores) -> Check:
    """The server gives one label per conversation."""

    async def check(timeout: float) -> str | None:
        try:
            await classify(engine, model, scores, QUESTION, SOLUTION, Lease(timeout))
        except EngineHTTPError as fault:
            if fault.reason != "wrong_scores":
                raise
            return f"{model} is no reward model with one label: {fault.__cause__}"
        return None

    return _with_refusals_explained(model, check)


def likelihood(engine: EngineHTTP, model: str, scores: LikelihoodScores) -> Check:
    """The server echoes a text with the log-probabilities of its tokens."""

    async def check(timeout: float) -> str | None:
        try:
            await likelihoods(engine, model, scores, QUESTION, [SOLUTION], Lease(timeout))
        except EngineHTTPError as fault:
            if fault.reason not in {"wrong_scores", "bad_response"}:
                raise
            return f"the server of {model} does not echo a text with log-probabilities"
        return None

    return _with_refusals_explained(model, check)


def chat(engine: EngineHTTP, model: str) -> Check:
    """The chat template leaves a begun turn open and unchanged, so that it can be gone on with."""
    example = ChatPrompts().local_refiner(QUESTION, SOLUTION, 1)

    async def check(timeout: float) -> str | None:
        lease = Lease(timeout)
        request = {"model": model, **conversation(example)}
        tokenized = parse(TokenizeResponse, await engine.post("/tokenize", request, lease=lease))
        back = {"model": model, "tokens": list(tokenized.tokens)}
        body = await engine.post("/detokenize", back, lease=lease)
        text = parse(DetokenizeResponse, body).prompt
        if text.rstrip().endswith(example.begun.rstrip()):
            return None
        return f"the chat template of {model} does not let a begun turn be gone on with"

    return _with_refusals_explained(model, check)


def _id_of(tokenized: TokenizeResponse, scores: ScoreFormat) -> int:
    return tokenized.tokens[(tokenized.token_strs or ()).index(scores.separator)]


def _with_refusals_explained(model: str, check: Check) -> Check:
    """The check, where a server that does not know the question has the wrong model on it."""

    async def explained(timeout: float) -> str | None:
        try:
            return await check(timeout)
        except EngineHTTPError as fault:
            if fault.status not in _REFUSALS:
                raise
            return (
                f"the server of {model} refuses what its family asks (HTTP {fault.status}): it "
                "serves another kind of model, or has no chat template"
            )

    return explained
