"""The client against what the gateway documents of itself: neither may drift alone."""

import json
from typing import Any

import pytest

from glore_client import Sampling, SolveResult
from glore_client.exchange import SolveCall
from glore_client.results import Readiness
from service.api.examples import RESPONSE
from service.api.schemas import SolveRequest
from service.refinement.types import Strategy


def test_the_client_keeps_every_field_of_the_documented_response() -> None:
    example: dict[str, Any] = json.loads(json.dumps(RESPONSE))
    assert SolveResult.model_validate(example).model_dump(mode="json") == example


@pytest.mark.parametrize("strategy", list(Strategy))
def test_the_gateway_takes_what_the_client_sends(strategy: Strategy) -> None:
    sampling = Sampling(temperature=0.7, top_p=0.9, max_tokens=100, n=4)
    call = SolveCall("How many?", strategy.value, sampling, 30.0, 35.0, "r")
    request = SolveRequest.model_validate(call.send(0.0).body)
    assert request.deadline_ms == 30_000
    assert request.sampling.n == 4


def test_not_ready_is_understood() -> None:
    body = {"status": "not_ready", "engines": {"generation": "ready", "scoring": "unreachable"}}
    assert not Readiness.model_validate(body).ready
