"""What became of one request. Written by the load generator, read by the measures."""

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

OK: Final = 200
REFUSALS: Final = frozenset({429, 503})


class Outcome(StrEnum):
    """How a request ended."""

    ANSWERED = "answered"  # 200, and the answer to this very request
    REFUSED = "refused"  # 429 or 503 with Retry-After
    FAILED = "failed"  # anything else: a broken connection, another status, a refusal without it


@dataclass(slots=True)
class RequestRecord:
    """One request. Times are seconds after the start of the schedule; None: it did not happen."""

    id: int
    due: float
    sent: float = 0.0
    ended: float = 0.0
    outcome: Outcome = Outcome.FAILED
    detail: str = ""  # of what was not answered: status and problem, or the error
    first_text: float | None = None
    draft: float | None = None
    first_error: float | None = None
    degraded: list[str] = field(default_factory=list)  # "stage: reason"

    def to_json(self) -> str:
        """One line."""
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def of(cls, fields: Mapping[str, Any]) -> "RequestRecord":
        """From its JSON."""
        return cls(**{**fields, "outcome": Outcome(fields["outcome"])})

    @property
    def clean(self) -> bool:
        """Whether it was answered with nothing missing."""
        return self.outcome is Outcome.ANSWERED and not self.degraded


@dataclass(slots=True)
class ResponseReader:
    """Reads the response to one request line by line, and fills its record."""

    record: RequestRecord
    request_id: str
    _event: str = ""

    def line(self, line: bytes, now: float) -> None:
        """Take one line of the event stream, `now` seconds after the start."""
        name, _, value = line.decode().strip().partition(": ")
        record = self.record
        if name == "event":
            self._event = value
        elif name != "data":
            return
        elif self._event == "draft.delta" and record.first_text is None:
            record.first_text = now
        elif self._event == "draft":
            record.draft = now
        elif self._event == "first_error":
            record.first_error = now
        elif self._event == "done":
            self._done(json.loads(value))
        elif self._event == "error":
            problem = json.loads(value)
            self.problem(int(problem["status"]), problem, problem.get("retry_after"))

    def problem(self, status: int, problem: Mapping[str, Any], retry_after: object) -> None:
        """Take an error: its status, its body, and the value of Retry-After."""
        seconds = str(retry_after or "")
        well_formed = status in REFUSALS and seconds.isdigit() and int(seconds) >= 1
        self.record.outcome = Outcome.REFUSED if well_formed else Outcome.FAILED
        kind = str(problem.get("type", "no problem")).rpartition("/")[2]
        self.record.detail = f"{status} {kind}"
        if status in REFUSALS and not well_formed:
            self.record.detail += " without Retry-After"

    def _done(self, answer: Mapping[str, Any]) -> None:
        if answer.get("request_id") != self.request_id:
            self.record.detail = "the answer to another request"
            return
        self.record.outcome = Outcome.ANSWERED
        self.record.degraded = [
            f"{each['stage']}: {each['reason']}" for each in answer.get("degraded", [])
        ]
