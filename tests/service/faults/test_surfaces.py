"""How an answer is read does not depend on how long it took."""

import httpx2

from glore.api.batch_lines import HEARTBEAT
from glore.api.batch_schemas import BatchDone, BatchLine
from glore.api.problems import Problem
from tests.service.faults.surfaces import BATCH

LATE = Problem(type="/problems/no-draft-in-time", title="L", status=504, detail="l", request_id="r")
LINE = BatchLine(index=0, id=None, status="error", result=None, error=LATE)
DONE = BatchDone(done=True, ok=0, errors=1)
LINES = f"{LINE.model_dump_json()}\n{DONE.model_dump_json()}\n".encode()


def test_signs_of_life_in_a_batch_are_no_lines() -> None:
    reported = BATCH.reported(httpx2.Response(200, content=LINES))
    assert (reported.answer, reported.slug) == (None, "no-draft-in-time")
    assert BATCH.reported(httpx2.Response(200, content=HEARTBEAT + LINES)) == reported
