import pytest

from glore.api.accept import prefers_events


@pytest.mark.parametrize(
    "accept",
    [
        "text/event-stream",
        "TEXT/Event-Stream",
        "text/event-stream, */*",
        "text/event-stream, application/*",
        "text/event-stream; q=0.9, */*; q=0.1",
        "application/json;q=0.5, text/event-stream",
        "application/json;q=0.5, */*, text/event-stream",
        "text/event-stream;charset=utf-8",
        "text/html, text/event-stream;q=0.2",
        "text/event-stream, application/json;q=0",
    ],
)
def test_a_client_that_names_events_first_gets_events(accept: str) -> None:
    assert prefers_events(accept)


@pytest.mark.parametrize(
    "accept",
    [
        "",
        "*/*",
        "text/*",
        "application/json",
        "application/json, text/event-stream",
        "text/event-stream, application/json",
        "text/event-stream;q=0.5, application/json",
        "text/event-stream;q=0.5, */*",
        "text/event-stream;q=0",
        "text/event-stream;q=0, */*;q=0",
        "text/event-stream;q=x",
        "text/event-stream;q=2",
        "text/event-stream;q=nan",
        "text/event-streams",
        ";,=,;q=1,,",
    ],
)
def test_everybody_else_gets_json(accept: str) -> None:
    assert not prefers_events(accept)


def test_no_more_than_the_first_ranges_count() -> None:
    assert prefers_events(f"{'a/b,' * 40}text/event-stream")
    assert not prefers_events(f"{'a/b,' * 60}text/event-stream")
