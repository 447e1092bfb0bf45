"""Questions with their options, and the requests that they become."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field, replace
from typing import Any, Final, TypedDict

from glore_client.keywords import names_nearest
from glore_client.results import Sampling, Strategy
from glore_client.retries import SHORTEST_DEADLINE
from glore_client.transport import ApiRequest

DEFAULT_DEADLINE = 60.0
SLACK = 5.0  # seconds that a client waits beyond the gateway's deadline
RETURN_TIME = 0.25  # seconds, at most, that the gateway gets less than the client has left
_MAX_SECONDS = 1e9  # no gateway accepts more
EVENTS = "text/event-stream"
NDJSON = "application/x-ndjson"


class SolveOptions(TypedDict, total=False):
    """How a question is answered. The comments give the defaults."""

    strategy: Strategy | None  # the gateway's choice
    sampling: Sampling | None  # the gateway's choice
    deadline: float  # seconds the gateway may take; 60
    max_engine_calls: int | None  # as many as the gateway allows
    max_generated_tokens: int | None  # as many as the gateway allows
    rounds: int | None  # of refinement at most; 1
    verify: bool | None  # whether the gateway's verifiers check the candidates; True
    correct: bool | None  # whether a refuted value is corrected before a local refinement; False


_OPTIONS: Final = tuple(SolveOptions.__annotations__)


class CallOptions(SolveOptions, total=False):
    """The same, and `timeout`: seconds the whole call may take, with retries and pauses."""

    timeout: float | None  # the deadline and 5 s


@names_nearest
@dataclass(frozen=True, slots=True)
class Question:
    """One of many questions. Its options replace those for all of them, unless they are None."""

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
        """Raise ValueError for an invalid deadline."""
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

    Both count from the first attempt, so a later attempt has less of each.
    """

    question: Question
    deadline: float
    timeout: float
    request_id: str

    def __post_init__(self) -> None:
        """Raise ValueError for an invalid time."""
        require_time("deadline", self.deadline)
        require_time("timeout", self.timeout)

    @property
    def time_limit(self) -> float:
        """Seconds after which no attempt begins."""
        return min(self.deadline, self.timeout)

    def request(self, elapsed: float, silence: float | None = None) -> ApiRequest:
        """The request as it is `elapsed` seconds after the first attempt.

        With `silence`, in seconds, the response is a stream of events.
        """
        left = self.timeout - elapsed
        headers = {
            "Accept": "application/json" if silence is None else EVENTS,
            "X-Request-ID": self.request_id,
            **_time_left(left),
        }
        options = _options_body(self.question, self.deadline - elapsed)
        body = {"question": self.question.text, **options}
        silence = None if silence is None else min(silence, left)
        return ApiRequest("POST", "/solve", headers, body, left, silence)


@dataclass(frozen=True, slots=True)
class BatchCall:
    """Many questions in one request; its body is the same at every attempt.

    Seconds: `timeout` of the whole call (math.inf: no limit), `silence` without a line.
    """

    questions: Sequence[Question]
    shared: Question  # without a text: the options for all of them
    key: str | None
    timeout: float
    silence: float
    request_id: str
    faults: Mapping[int, str] = field(init=False)  # index of a question -> why it is not sent
    sendable: Sequence[int] = field(init=False)  # the indices of those that are sent

    def __post_init__(self) -> None:
        """Find the questions that cannot be sent."""
        found = {index: each.fault for index, each in enumerate(self.questions)}
        faults = {index: fault for index, fault in found.items() if fault is not None}
        object.__setattr__(self, "faults", faults)
        object.__setattr__(self, "sendable", [index for index in found if index not in faults])

    def request(self, elapsed: float) -> ApiRequest:
        """The request as it is `elapsed` seconds after the first attempt."""
        headers = {"Accept": NDJSON, "X-Request-ID": self.request_id}
        if self.key is not None:
            headers["Idempotency-Key"] = self.key
        left = self.timeout - elapsed
        if math.isfinite(left):
            headers |= _time_left(left)
        body = {
            "questions": [
                {"question": each.text, **_id_body(each), **_options_body(each, each.deadline)}
                for each in map(self.questions.__getitem__, self.sendable)
            ],
            **_options_body(self.shared, self.shared.deadline),
        }
        silence = min(self.silence, left)
        return ApiRequest("POST", "/solve/batch", headers, body, silence, silence)


def shared_options(options: SolveOptions) -> Question:
    """The options for every question, as a question without a text.

    Raises ValueError for an invalid time, and for an option that cannot be sent.
    """
    given: dict[str, Any] = {"deadline": DEFAULT_DEADLINE}
    given |= {name: value for name, value in options.items() if name in _OPTIONS}
    shared = Question("", **given)
    fault = options_fault(shared)
    if fault is not None:
        raise ValueError(fault)
    return shared


def solve_call(given: str | Question, options: CallOptions, request_id: str) -> SolveCall:
    """A question with its options; its own replace `options`.

    Raises ValueError for an invalid time, and for a question that cannot be sent.
    """
    question, shared = Question.of(given), shared_options(options)
    fault = question.fault
    if fault is not None:
        raise ValueError(fault)
    missing = [name for name in _OPTIONS if getattr(question, name) is None]
    question = replace(question, **{name: getattr(shared, name) for name in missing})
    deadline = DEFAULT_DEADLINE if question.deadline is None else question.deadline
    timeout = options.get("timeout")
    timeout = deadline + SLACK if timeout is None else timeout
    return SolveCall(question, deadline, timeout, request_id)


def require_time(name: str, seconds: float) -> None:
    """Raise ValueError unless the time is positive and finite."""
    if not (math.isfinite(seconds) and seconds > 0):
        message = f"{name} must be a positive number of seconds, not {seconds}"
        raise ValueError(message)


def options_fault(question: Question) -> str | None:
    """Why the options of a question cannot be sent, None if they can."""
    if not (question.sampling is None or isinstance(question.sampling, Sampling)):
        return f"sampling is a Sampling, not {type(question.sampling).__name__}"
    return encoding_fault(_options_body(question, question.deadline))


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


def _id_body(question: Question) -> Mapping[str, object]:
    return {} if question.id is None else {"id": question.id}


def _options_body(question: Question, deadline: float | None) -> dict[str, object]:
    """The fields of a request for the options that are not None; `deadline` in seconds."""
    fields = {name: getattr(question, name) for name in _OPTIONS if name != "deadline"}
    if question.sampling is not None:
        fields["sampling"] = question.sampling.model_dump(exclude_none=True)
    fields["deadline_ms"] = None if deadline is None else _milliseconds(deadline)
    return {name: value for name, value in fields.items() if value is not None}


def _time_left(seconds: float) -> dict[str, str]:
    """The header with the gateway's time: what is left, less the time for the way back."""
    given = max(seconds - min(RETURN_TIME, seconds / 10), SHORTEST_DEADLINE)
    return {"Glore-Deadline-Ms": str(_milliseconds(given))}


def _milliseconds(seconds: float) -> int:
    return math.floor(1000 * min(seconds, _MAX_SECONDS))
