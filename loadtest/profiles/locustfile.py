"""The load generator, for Locust. `loadtest.profiles` starts it in a process of its own.

Locust's users wait for an answer before they send the next request: when the service slows down,
they send less (a closed loop). So there is one user here. It starts a greenlet for each arrival of
a schedule when that is due, whatever has been answered. Locust provides the process, the HTTP
client and the statistics. All times count from the moment at which the request was due.
"""

import dataclasses
import json
import os
import time
from pathlib import Path
from typing import Any, TextIO

import gevent
from geventhttpclient import HTTPClient
from geventhttpclient.response import HTTPParseError, HTTPSocketPoolResponse
from locust import User, events, task
from locust.argument_parser import LocustArgumentParser
from locust.env import Environment

from loadtest.profiles.records import OK, Outcome, RequestRecord, ResponseReader

_AHEAD_S = 0.5  # between the start and the first arrivals


@events.init_command_line_parser.add_listener  # type: ignore[untyped-decorator]
def _options(parser: LocustArgumentParser) -> None:
    parser.add_argument("--plan", type=Path, help="JSON: timeout, arrivals with id, due and body")
    parser.add_argument("--records", type=Path, help="where a line is written for each request")


class Arrivals(User):
    """Sends every request of the plan when it is due, then ends the run."""

    fixed_count = 1

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        options: Any = environment.parsed_options
        self._plan: dict[str, Any] = json.loads(options.plan.read_text(encoding="utf-8"))
        self._records: Path = options.records
        self._stop = options.plan.with_suffix(".stop")
        self._start = 0.0
        key = os.environ.get("GLORE_API_KEY")
        self._headers = {
            "Accept": "text/event-stream",
            "Content-Type": "application/json",
            "Connection": "close",
            **({"Authorization": f"Bearer {key}"} if key else {}),
        }

    @task
    def follow(self) -> None:
        """Start each request in time, wait for the last one, and end."""
        with self._records.open("w", encoding="utf-8", buffering=1) as out:
            self._start = time.monotonic() + _AHEAD_S
            out.write(json.dumps({"start": self._start}) + "\n")
            begun = []
            for arrival in self._plan["arrivals"]:
                gevent.sleep(max(0.0, arrival["due"] - self._now()))
                if self._stop.exists():
                    break
                begun.append(gevent.spawn(self._send, arrival, out))
            gevent.joinall(begun)
            out.write(json.dumps({"sent": len(begun)}) + "\n")
        if self.environment.runner is not None:
            self.environment.runner.quit()

    def _now(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self._start

    def _send(self, arrival: dict[str, Any], out: TextIO) -> None:
        record = RequestRecord(arrival["id"], arrival["due"], sent=self._now())
        limit: float = self._plan["timeout"]
        try:
            with gevent.Timeout(limit, TimeoutError(f"no answer within {limit:g} s")):
                self._stream(arrival, record)
        except (OSError, HTTPParseError, ValueError, KeyError) as error:
            record.outcome = Outcome.FAILED
            record.detail = f"{type(error).__name__}: {error}"[:200]
        record.ended = self._now()
        out.write(record.to_json() + "\n")
        self._report(record)

    def _stream(self, arrival: dict[str, Any], record: RequestRecord) -> None:
        """One connection for one question, as of a new client."""
        reading = ResponseReader(record, f"load-{self._plan['seed']}-{record.id}")
        limit: float = self._plan["timeout"]
        client = HTTPClient.from_url(
            self.host or "", connection_timeout=limit, network_timeout=limit
        )
        headers = {**self._headers, "X-Request-ID": reading.request_id}
        try:
            response = client.request("POST", "/solve", json.dumps(arrival["body"]), headers)
            if response.status_code == OK:
                while line := response.readline(b"\n"):
                    reading.line(line, self._now())
                if record.outcome is Outcome.FAILED and not record.detail:
                    record.detail = "the stream ended without an answer"
            else:
                reading.problem(response.status_code, _body(response), response.get("retry-after"))
        finally:
            client.close()

    def _report(self, record: RequestRecord) -> None:
        """Add the times to Locust's statistics."""
        failed = record.outcome is Outcome.FAILED
        times = {"schedule delay": record.sent, record.outcome.value: record.ended}
        times |= {
            name: at
            for name in ("first_text", "draft", "first_error")
            if (at := getattr(record, name)) is not None
        }
        for name, at in times.items():
            self.environment.events.request.fire(
                request_type="solve",
                name=name,
                response_time=1000 * (at - record.due),
                response_length=0,
                exception=record.detail if failed and name == record.outcome.value else None,
                context=dataclasses.asdict(record),
            )


def _body(response: HTTPSocketPoolResponse) -> dict[str, Any]:
    """The problem in a response; empty where it is none."""
    try:
        found = json.loads(bytes(response.read()))
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
