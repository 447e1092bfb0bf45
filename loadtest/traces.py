"""Record streams of `POST /solve` as traces, which the page at `/` plays.

`python -m loadtest.traces` asks a running gateway each example of the page, and writes what is
streamed into `trace-ID.json` beside `examples.json`.
"""

import argparse
import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx2

import glore

FORMAT = 1  # of a trace, which `trace.js` of the page reads
_TIMEOUT = 300.0  # seconds
_WEB = Path(glore.__file__).parent / "web"


def record(client: httpx2.Client, request: dict[str, Any]) -> dict[str, Any]:
    """The trace of one question. Raises httpx2.HTTPError, or ValueError without an answer."""
    recorded = datetime.now(UTC).isoformat(timespec="seconds")
    events = list(_events(client, request))
    if not events or events[-1][1] != "done":
        message = f"the stream did not end with an answer: {events[-1:]}"
        raise ValueError(message)
    return {"trace": FORMAT, "recorded": recorded, "request": request, "events": events}


def _events(client: httpx2.Client, request: dict[str, Any]) -> Iterator[tuple[float, str, Any]]:
    """Each event as seconds since the request, its name and its data."""
    headers = {"Accept": "text/event-stream"}
    start = time.perf_counter()
    with client.stream("POST", "/solve", json=request, headers=headers) as response:
        response.read() if response.is_error else None
        response.raise_for_status()
        name = ""
        for line in response.iter_lines():
            field, _, value = line.partition(": ")
            if field == "event":
                name = value
            elif field == "data":
                yield round(time.perf_counter() - start, 3), name, json.loads(value)


def main() -> None:
    """Record every example of a file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", default="http://127.0.0.1:8000", help="of the gateway")
    parser.add_argument("--folder", type=Path, default=_WEB, help="with examples.json in it")
    parser.add_argument("--only", help="the id of one example")
    arguments = parser.parse_args()
    folder: Path = arguments.folder
    with httpx2.Client(base_url=arguments.url, timeout=_TIMEOUT, trust_env=False) as client:
        for example in json.loads((folder / "examples.json").read_text(encoding="utf-8")):
            if arguments.only not in {None, example["id"]}:
                continue
            trace = record(client, example["request"])
            file = folder / f"trace-{example['id']}.json"
            text = json.dumps(trace, separators=(",", ":"), ensure_ascii=False)
            file.write_text(f"{text}\n", encoding="utf-8")
            done = trace["events"][-1][2]
            print(file, done["answer"], done["selected"]["kind"], done["usage"]["seconds"])  # noqa: T201


if __name__ == "__main__":
    main()
