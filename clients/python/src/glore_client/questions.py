"""What is asked, and how it goes over the wire."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from typing import TypedDict, TypeVar

from glore_client.keywords import names_nearest
from glore_client.results import Sampling, Strategy
from glore_client.retries import SHORTEST_DEADLINE
from glore_client.steps import Send

T = TypeVar("T")

DEFAULT_DEADLINE = 60.0
SLACK = 5.0  # seconds a client waits beyond the deadline that it gave the gateway
WAY_BACK = 0.25  # seconds, at most, that the gateway gets less than the client has left
_LONGEST = 1e9  # seconds; more is not told, and no gateway takes it
EVENTS = "text/event-stream"
NDJSON = "application/x-ndjson"


class SolveOptions(TypedDict, total=False):
    """How a question is to be answered. What is left out is as the comment says."""

    strategy: Strategy | None  # the gateway's choice
    sampling: Sampling | None  # the gateway's choice
    deadline: float  # seconds the gateway may take; 60
    max_engine_calls: int | None  # as many as the gateway allows
    max_generated_tokens: int | None  # as many as the gateway allows
    rounds: int | None  # of refinement at most; 1
    verify: bool | None  # whether the gateway's verifiers check the candidates; True
    correct: bool | None  # whether a refuted value is corrected before a local refinement; False


class CallOptions(SolveOptions, total=False):
    """The same, and `timeout`: seconds the whole call may take, tries and pauses together."""

    timeout: float | None  # the deadline and 5 s


@names_nearest
@dataclass(frozen=True, slots=True)
class Question:
    """One of many questions. What is not None goes before what is said for all of them."""

    text: str
    _: KW_ONLY
    id: str | None = None  # the caller's own name for it
    strategy: Strategy | None = None
    sampling: Sampling | None = None
    deadline: float | None = None
    max_engine_calls: int | None = None
    max_generated_tokens: int | None = None
    rounds: int | None = None
    verify: bool | None = None
    correct: bool | None = None

    def __post_init__(self) -> None:
        """Refuse a deadline that is none. Raises ValueError."""
        if self.deadline is not None:
            require_time("deadline", self.deadline)

    @classmethod
    def of(cls, given: "str | Question") -> "Question":
        """A question in either form."""
        return given if isinstance(given, Question) else cls(given)

    @property
    def fault(self) -> str | None:
        """Why it cannot be sent, None if it can."""
        if not isinstance(self.text, str):
            return f"a question is a text (str), not {type(self.text).__name__}"
        if not (self.id is None or isinstance(self.id, str)):
            return f"the id of a question is a text (str), not {type(self.id).__name__}"
        return encoding_fault({"question": self.text, "id": self.id}) or options_fault(self)


@dataclass(frozen=True, slots=True)
class SolveCall:
    """One question. `deadline` is the gateway's, `timeout` the client's, both in seconds.

    Both count from the first try, so a try after a pause has less of each.
    """

    question: Question
    deadline: float
    timeout: float
    request_id: str

    def __post_init__(self) -> None:
        """Refuse times that are no times. Raises ValueError."""
        require_time("deadline", self.deadline)
        require_time("timeout", self.timeout)

    def send(self, elapsed: float, silence: float | None = None) -> Send:
        """The request as it goes out `elapsed` seconds after the first try.

        With `silence`, in seconds, events are asked for instead of one answer.
        """
        left = self.timeout - elapsed
        asked = _on_the_wire(self.question, self.deadline - elapsed)
        headers = {
            "Accept": "application/json" if silence is None else EVENTS,
            "X-Request-ID": self.request_id,
            **_time_left(left),
        }
        return Send(
            "POST",
            "/solve",
            headers,
            {"question": self.question.text, **asked},
            left,
            None if silence is None else min(silence, left),
        )


@dataclass(frozen=True, slots=True)
class BatchCall:
    """Many questions in one request; its body is the same at every try.

    `timeout` and `silence` in seconds: the whole call (math.inf: no limit), and without a line.
    """

    questions: Sequence[Question]
    shared: Question  # without a text: what is said for all of them
    key: str | None
    timeout: float
    silence: float
    request_id: str
    faults: Mapping[int, str] = field(init=False)  # place among the questions -> why it is not sent
    sendable: Sequence[int] = field(init=False)  # the places of those that are sent

    def __post_init__(self) -> None:
        """Find the questions that cannot be sent."""
        found = {place: each.fault for place, each in enumerate(self.questions)}
        faults = {place: fault for place, fault in found.items() if fault is not None}
        object.__setattr__(self, "faults", faults)
        object.__setattr__(self, "sendable", [place for place in found if place not in faults])

    def send(self, elapsed: float) -> Send:
        """The request as it goes out `elapsed` seconds after the first try."""
        headers = {"Accept": NDJSON, "X-Request-ID": self.request_id}
        if self.key is not None:
            headers["Idempotency-Key"] = self.key
        left = self.timeout - elapsed
        if math.isfinite(left):
            headers |= _time_left(left)
        body = {
            "questions": [
                {"question": each.text, **_named(each), **_on_the_wire(each, each.deadline)}
                for each in map(self.questions.__getitem__, self.sendable)
            ],
            **_on_the_wire(self.shared, self.shared.deadline),
        }
        patience = min(self.silence, left)
        return Send("POST", "/solve/batch", headers, body, patience, patience)


def shared_by_all(options: SolveOptions) -> Question:
    """What is said for every question, as a question without a text.

    Raises ValueError for a time that is none, and for what cannot be sent.
    """
    shared = Question(
        "",
        strategy=options.get("strategy"),
        sampling=options.get("sampling"),
        deadline=options.get("deadline", DEFAULT_DEADLINE),
        max_engine_calls=options.get("max_engine_calls"),
        max_generated_tokens=options.get("max_generated_tokens"),
        rounds=options.get("rounds"),
        verify=options.get("verify"),
        correct=options.get("correct"),
    )
    fault = options_fault(shared)
    if fault is not None:
        raise ValueError(fault)
    return shared


def solve_call(given: str | Question, options: CallOptions, request_id: str) -> SolveCall:
    """A question with its options, its own first.

    Raises ValueError for a time that is none, and for a question that cannot be sent.
    """
    own, shared = Question.of(given), shared_by_all(options)
    fault = own.fault
    if fault is not None:
        raise ValueError(fault)
    deadline = own.deadline or shared.deadline or DEFAULT_DEADLINE
    timeout = options.get("timeout")
    question = Question(
        own.text,
        id=own.id,
        strategy=own.strategy or shared.strategy,
        sampling=own.sampling or shared.sampling,
        max_engine_calls=_first(own.max_engine_calls, shared.max_engine_calls),
        max_generated_tokens=_first(own.max_generated_tokens, shared.max_generated_tokens),
        rounds=_first(own.rounds, shared.rounds),
        verify=_first(own.verify, shared.verify),
        correct=_first(own.correct, shared.correct),
    )
    return SolveCall(
        question, deadline, deadline + SLACK if timeout is None else timeout, request_id
    )


def require_time(name: str, seconds: float) -> None:
    """Raise ValueError unless it is a time that something can take."""
    if not (math.isfinite(seconds) and seconds > 0):
        message = f"{name} must be a positive number of seconds, not {seconds}"
        raise ValueError(message)


def options_fault(question: Question) -> str | None:
    """Why the options of a question cannot be sent, None if they can."""
    if not (question.sampling is None or isinstance(question.sampling, Sampling)):
        return f"sampling is a Sampling, not {type(question.sampling).__name__}"
    return encoding_fault(_on_the_wire(question, question.deadline))


def encoding_fault(fields: Mapping[str, object]) -> str | None:
    """Why JSON or UTF-8 cannot hold one of the fields, None if they can."""
    for name, value in fields.items():
        try:
            json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
        except UnicodeEncodeError as error:
            hidden = error.object[error.start]
            return f"the {name} cannot be encoded: it holds {hidden!r}, half of a surrogate pair"
        except (TypeError, ValueError, RecursionError) as error:
            return f"the {name} cannot be encoded: {error}"
    return None


def _first(own: T | None, shared: T | None) -> T | None:
    return shared if own is None else own


def _named(question: Question) -> Mapping[str, object]:
    return {} if question.id is None else {"id": question.id}


def _on_the_wire(question: Question, deadline: float | None) -> dict[str, object]:
    """The options of a question, those that were given; `deadline` in seconds."""
    sampling = question.sampling
    given = {
        "strategy": question.strategy,
        "sampling": None if sampling is None else sampling.model_dump(exclude_none=True),
        "deadline_ms": None if deadline is None else _milliseconds(deadline),
        "max_engine_calls": question.max_engine_calls,
        "max_generated_tokens": question.max_generated_tokens,
        "rounds": question.rounds,
        "verify": question.verify,
        "correct": question.correct,
    }
    return {name: value for name, value in given.items() if value is not None}


def _time_left(seconds: float) -> dict[str, str]:
    """The header that says it: less the way back, and no less than the gateway takes."""
    given = max(seconds - min(WAY_BACK, seconds / 10), SHORTEST_DEADLINE)
    return {"Glore-Deadline-Ms": str(_milliseconds(given))}


def _milliseconds(seconds: float) -> int:
    return math.floor(1000 * min(seconds, _LONGEST))
