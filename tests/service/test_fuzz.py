"""The gateway asked whatever its own OpenAPI document allows and forbids (schemathesis).

Every operation of the document is tried: its examples, the boundaries of each field, missing and
wrong keys, other methods and media types, then random bodies, valid and not. Held are all checks
of schemathesis: no 500, only documented statuses, media types, headers and bodies, valid data
taken and invalid refused, the key asked for. Streams are read to their last item, and no answer
may hold a word of an engine's own. A new path needs no line here.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import pytest
from anyio.from_thread import start_blocking_portal
from pydantic import AnyHttpUrl

from glore.api.events import SolveEvents
from glore.app import create_app
from glore.keys import new_key
from glore.role_settings import EngineSettings
from glore.settings import Settings
from loadtest.simulation.server import UPSTREAM_TEXT, Simulator, running
from loadtest.simulation.settings import FAULTS, Fault, Simulated, Timing
from tests.service.documented import EVENTS, LINES
from tests.service.fakes import FakeEngines
from tests.service.fuzzing import ALL_PHASES, CHAT, SEED, fuzz

KEY: Final = new_key()
# Some of everything that goes wrong at once, and much of what costs the draft; but for those who
# never end, which would take a deadline each. What is not drawn by the request is `refused`: for a
# tenth of the time there is nobody.
KINDS: Final = [kind for kind in FAULTS if kind not in {"hang", "stall", "trickle", "refused"}]
UNWELL: Final = Simulated(
    timing=Timing(first_token=0.002),
    faults=(
        Fault("refused", 0.1),
        Fault("400", 0.22, "student"),
        Fault("500", 0.1, "student"),
        *(Fault(kind, 0.03) for kind in KINDS),
    ),
    outage=0.2,
    seed=SEED,
)


@contextmanager
def failing(settings: Settings) -> Iterator[tuple[Settings, Simulator]]:
    """Settings of a gateway whose engines fail at random, and the one that writes."""
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(running(UNWELL)) as (writer, writes),
        portal.wrap_async_context_manager(running(UNWELL)) as (_, scores),
    ):
        engines = {
            "generation": EngineSettings(url=AnyHttpUrl(writes)),
            "scoring": EngineSettings(url=AnyHttpUrl(scores)),
        }
        yield settings.model_copy(update=engines), writer


@pytest.mark.timeout(400)  # seconds where the processor is busy with other work, or 10 s
def test_nothing_breaks_a_gateway_with_keys(settings: Settings, engines: FakeEngines) -> None:
    keyed = Settings.model_validate(settings.model_dump() | {"api_keys": KEY})
    app = create_app(keyed, connect=engines.connect)
    found = fuzz(app, examples=10, phases=ALL_PHASES, key=KEY)
    assert found.failures == []
    assert found.requests["POST /solve"] > 100
    assert found.requests[f"POST {CHAT}"] > 100
    assert engines.student.calls > 0


def test_nothing_breaks_an_open_gateway(settings: Settings, engines: FakeEngines) -> None:
    app = create_app(settings, connect=engines.connect)
    found = fuzz(app, examples=10, phases=("fuzzing",))
    assert found.failures == []
    assert engines.student.calls > 0


# Hypothesis prints a body of 200 kB where it draws one: a remark on our input, no fault of ours.
@pytest.mark.filterwarnings("ignore:Generating overly large repr")
@pytest.mark.timeout(400)
@pytest.mark.parametrize("accept", ["*/*", EVENTS], ids=["whole", "streamed"])
def test_nothing_breaks_a_gateway_whose_engines_fail_at_random(
    settings: Settings, accept: str
) -> None:
    with failing(settings) as (unwell, writer):
        found = fuzz(
            create_app(unwell),
            examples=80,
            phases=("examples", "fuzzing"),
            accept=accept,
            unwell=True,
        )
        faults = dict(writer.faults)
    assert found.failures == []
    assert faults.keys() == set(KINDS)
    assert found.reasons.keys() >= {"bad_response", "failed", "rejected"}
    assert found.answers[f"POST {CHAT}"].keys() >= {200, 502, 503}
    assert found.answers["POST /solve/batch"][LINES] > 10
    if accept == EVENTS:
        assert found.answers["POST /solve"][EVENTS] > 10
        assert found.answers[f"POST {CHAT}"][EVENTS] > 10
    else:
        assert found.answers["POST /solve"].keys() >= {200, 502, 503}


def test_an_event_of_another_shape_is_found(
    settings: Settings, engines: FakeEngines, monkeypatch: pytest.MonkeyPatch
) -> None:
    event = b"id: 1\nevent: other\ndata: {}\n\n"
    monkeypatch.setattr(SolveEvents, "encode_error", lambda *_: event)
    engines.student.fault = "failed"
    app = create_app(settings, connect=engines.connect)
    found = fuzz(app, examples=4, phases=("examples",), accept=EVENTS, unwell=True)
    assert any("response_schema_conformance" in failure for failure in found.failures)


def test_a_bug_is_found(settings: Settings, engines: FakeEngines) -> None:
    engines.student.fault = RuntimeError("boom")
    app = create_app(settings, connect=engines.connect)
    found = fuzz(app, examples=4, phases=("examples",), unwell=True)
    assert any("not_a_server_error" in failure for failure in found.failures)


def test_a_word_of_an_engines_own_is_found(settings: Settings, engines: FakeEngines) -> None:
    engines.student.text = UPSTREAM_TEXT
    app = create_app(settings, connect=engines.connect)
    found = fuzz(app, examples=4, phases=("examples",))
    assert any("upstream text" in failure for failure in found.failures)
