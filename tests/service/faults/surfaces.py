"""The ways to ask the gateway a question, and what each of them answered, read alike."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import httpx2

from glore.api.batch_schemas import BatchDone, BatchLine
from glore.api.openai.catalog import STRATEGIES
from glore.api.openai.completion import ChatCompletion
from glore.api.openai.errors import ErrorResponse
from glore.api.problems import Problem
from glore.api.schemas import SolveResponse
from glore.refinement.types import Strategy
from tests.service.lines import lines_of

JSON: Final = "application/json"
EVENTS: Final = "text/event-stream"
NDJSON: Final = "application/x-ndjson"
STATUS: Final = {"student-rejected": 502, "student-unavailable": 503, "no-draft-in-time": 504}
_NAMES: Final = {"global_refinement": "global", "local_refinement": "local"}


@dataclass(frozen=True, slots=True)
class Told:
    """The answer to a question, or the slug of its problem; its shape has been checked."""

    answer: SolveResponse | None
    slug: str | None = None

    @property
    def status(self) -> int:
        """The status of the answer, which a stream or a batch does not have as its own."""
        return 200 if self.slug is None else STATUS[self.slug]

    @property
    def line(self) -> str:
        """Status, candidates, selected by, degraded: as a line of the table."""
        if self.answer is None:
            return f"{self.status} - - -"
        kinds = [str(candidate.kind) for candidate in self.answer.candidates]
        kinds[1:] = sorted(kinds[1:])  # as they arrived, which the table does not tell
        names = ",".join(_NAMES.get(kind, kind) for kind in kinds)
        missing = ",".join(f"{each.stage}:{each.reason}" for each in self.answer.degraded)
        return f"200 {names} {self.answer.selected.reason} {missing or '-'}"


@dataclass(frozen=True, slots=True)
class Surface:
    """An endpoint and a form of its answer. `body` asks, `told` reads."""

    name: str
    path: str
    accept: str
    body: Callable[[Strategy, int], dict[str, Any]]
    reported: Callable[[httpx2.Response], Told]


def _question(strategy: Strategy, deadline_ms: int) -> dict[str, Any]:
    return {"question": "How many?", "strategy": strategy, "deadline_ms": deadline_ms}


def _questions(strategy: Strategy, deadline_ms: int) -> dict[str, Any]:
    return {"questions": [_question(strategy, deadline_ms)]}


def _turns(strategy: Strategy, deadline_ms: int) -> dict[str, Any]:
    model = next(name for name, each in STRATEGIES.items() if each is strategy)
    turns = [{"role": "user", "content": "How many?"}]
    return {"model": model, "messages": turns, "glore": {"deadline_ms": deadline_ms}}


def _streamed_turns(strategy: Strategy, deadline_ms: int) -> dict[str, Any]:
    return {**_turns(strategy, deadline_ms), "stream": True}


def _from_solve(response: httpx2.Response) -> Told:
    reported = _solved(response.content)
    assert reported.status == response.status_code
    return reported


def _from_stream(response: httpx2.Response) -> Told:
    assert response.status_code == 200
    name, _, data = _events(response)[-1].partition("\ndata: ")
    reported = _solved(data.encode())
    assert name.endswith("done" if reported.answer else "error")
    return reported


def _from_chat(response: httpx2.Response) -> Told:
    if response.status_code == 200:
        return Told(ChatCompletion.model_validate_json(response.content, strict=True).glore)
    reported = _refused(response.content)
    assert reported.status == response.status_code
    return reported


def _from_chat_stream(response: httpx2.Response) -> Told:
    if response.status_code != 200:  # nothing had been said
        return _from_chat(response)
    *chunks, last = (event.removeprefix("data: ") for event in _events(response))
    if last != "[DONE]":
        return _refused(last.encode())
    reported = [json.loads(chunk)["glore"] for chunk in chunks if '"done"' in chunk]
    return _solved(json.dumps(reported[-1]["data"]).encode())


def _from_batch(response: httpx2.Response) -> Told:
    assert response.status_code == 200
    first, last = lines_of(response)
    line = BatchLine.model_validate_json(first, strict=True)
    done = BatchDone.model_validate_json(last, strict=True)
    assert (done.ok, done.errors) == ((1, 0) if line.status == "ok" else (0, 1))
    return Told(line.result, _slug(line.error) if line.error else None)


def _solved(content: bytes) -> Told:
    """What `POST /solve` says: an answer or a problem."""
    if b'"/problems/' in content:
        return Told(None, _slug(Problem.model_validate_json(content, strict=True)))
    return Told(SolveResponse.model_validate_json(content, strict=True))


def _refused(content: bytes) -> Told:
    code = ErrorResponse.model_validate_json(content, strict=True).error.code
    return Told(None, code.replace("_", "-"))


def _slug(problem: Problem) -> str:
    slug = problem.type.removeprefix("/problems/")
    assert problem.status == STATUS[slug]
    return slug


def _events(response: httpx2.Response) -> list[str]:
    return response.text.rstrip().split("\n\n")


SOLVE: Final = Surface("solve", "/solve", JSON, _question, _from_solve)
STREAM: Final = Surface("stream", "/solve", EVENTS, _question, _from_stream)
CHAT: Final = Surface("chat", "/v1/chat/completions", JSON, _turns, _from_chat)
CHAT_STREAM: Final = Surface(
    "chat stream", "/v1/chat/completions", EVENTS, _streamed_turns, _from_chat_stream
)
BATCH: Final = Surface("batch", "/solve/batch", NDJSON, _questions, _from_batch)
SURFACES: Final = (SOLVE, STREAM, CHAT, CHAT_STREAM, BATCH)
