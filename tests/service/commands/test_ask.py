"""`glore ask` while the gateway still speaks: live in a terminal, and interrupted."""

import signal
import threading

import pytest
from typer.testing import CliRunner

from glore.cli import main
from tests.clients.python import samples
from tests.clients.python.sockets import serving
from tests.service.gateway import fake_gateway

QUESTION = samples.QUESTION
STORY = samples.events_of(samples.result(selected=1))


def test_a_terminal_shows_the_draft_before_the_end() -> None:
    begun, rest = samples.as_events(STORY[:1]), samples.as_events(STORY[1:])
    with serving(begun, 1.0, rest) as server:
        result = CliRunner().invoke(
            main, ["ask", QUESTION, "--url", server.url], env={"FORCE_COLOR": "1", "COLUMNS": "100"}
        )
    assert result.exit_code == 0, result.output
    before_the_scores = result.stdout.partition("0.98")[0]
    assert "3 x 4 = 12" in before_the_scores
    assert "\x1b[1A" in result.stdout  # frames are drawn over each other
    assert "<- winner" in result.stdout
    assert result.stdout.count("Answer:") == 1


@pytest.mark.parametrize(
    ("options", "sent"),
    [
        ([], {}),
        (["--verify"], {}),  # the default, which an older gateway does not know
        (["--no-verify"], {"verify": False}),
        (
            ["--strategy", "adaptive", "--rounds", "3", "--correct"],
            {"strategy": "adaptive", "rounds": 3, "correct": True},
        ),
    ],
)
def test_rounds_verifiers_and_corrections_are_requested(
    options: list[str], sent: dict[str, object]
) -> None:
    with fake_gateway() as gateway:
        result = CliRunner().invoke(main, ["ask", QUESTION, "--url", gateway.url, *options])
    assert result.exit_code == 0, result.output
    (requested,) = gateway.requested
    assert requested == {"question": QUESTION, "sampling": {}, "deadline_ms": 60_000, **sent}


@pytest.mark.usefixtures("interruptible")
def test_an_interrupt_ends_the_work_and_has_a_status_of_its_own() -> None:
    beats = [each for _ in range(3000) for each in (b": heartbeat\n\n", 0.01)]
    with serving(samples.as_events(STORY[:1]), *beats) as server:

        def interrupt() -> None:
            server.begun.wait(30.0)
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

        helper = threading.Thread(target=interrupt)
        helper.start()
        result = CliRunner().invoke(main, ["ask", QUESTION, "--url", server.url])
        helper.join()
        assert result.exit_code == 130, result.output
        assert result.output == ""
        assert server.left.wait(20.0)
