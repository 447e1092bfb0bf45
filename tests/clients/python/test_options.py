"""What a client is made with: arguments, environment, headers, and defaults of its own."""

import platform
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest

import glore_client
from glore_client import (
    AsyncClient,
    Client,
    Question,
    RetryPolicy,
    Sampling,
    ServiceUnavailable,
)
from tests.clients.python.fakes import LINES, Connect, Gateway, error, ok, streamed
from tests.clients.python.samples import QUESTION
from tests.clients.python.test_batch import FIRST, LAST, QUESTIONS, SECOND, THIRD

ROOT = Path(__file__).parents[3]
Make = Callable[..., Client | AsyncClient]
MAKERS = pytest.mark.parametrize("make", [Client, AsyncClient])


def sent(client: Client | AsyncClient) -> httpx2.Headers:
    return client._http.headers


@MAKERS
def test_url_and_key_come_from_the_environment(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    assert str(make()._http.base_url) == "http://127.0.0.1:8000"
    monkeypatch.setenv("GLORE_URL", "https://gateway.example/glore")
    monkeypatch.setenv("GLORE_API_KEY", "k-hidden")
    client = make()
    assert str(client._http.base_url) == "https://gateway.example/glore/"
    assert sent(client)["Authorization"] == "Bearer k-hidden"


@MAKERS
def test_arguments_replace_the_environment(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GLORE_URL", "not a URL")
    monkeypatch.setenv("GLORE_API_KEY", "not a key")
    client = make("http://gateway", api_key="k-1")
    assert str(client._http.base_url) == "http://gateway"
    assert sent(client)["Authorization"] == "Bearer k-1"
    client = make("http://gateway", headers={"authorization": "Basic x"})
    assert sent(client)["Authorization"] == "Basic x"


@MAKERS
def test_an_empty_variable_is_none(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GLORE_URL", "")
    monkeypatch.setenv("GLORE_API_KEY", "")
    client = make()
    assert str(client._http.base_url) == "http://127.0.0.1:8000"
    assert "Authorization" not in sent(client)


@MAKERS
@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("GLORE_URL", "gateway:8000"),
        ("GLORE_URL", "ftp://gateway"),
        ("GLORE_URL", "http://gateway\n"),
        ("GLORE_URL", "http://user:hidden@gateway:99999"),
        ("GLORE_API_KEY", "hidden key"),
        ("GLORE_API_KEY", "hidden\n"),
    ],
)
def test_the_error_of_a_wrong_value_names_its_variable(
    make: Make, variable: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(ValueError, match=variable) as caught:
        make()
    assert "hidden" not in str(caught.value)


@MAKERS
@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("gateway:8000", r"did you mean http://gateway:8000\?"),
        ("localhost:8000/v1", r"did you mean http://localhost:8000/v1\?"),
        ("http://gateway?key=1", "no query"),
        ("http://gateway#solve", "no fragment"),
        ("http://gateway:0", "no port 0"),
        ("http://a..b", "not a URL"),
        (f"http://{'a' * 64}.example", "not a URL"),
        ("http://\ud83d", "not a URL"),
        ("", "not an http or https URL"),
    ],
)
def test_the_error_of_an_invalid_base_url_says_why(make: Make, url: str, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        make(url)


@pytest.mark.parametrize("base", ["http://gateway/glore", "http://gateway/glore/"])
def test_a_base_url_may_have_a_path(base: str) -> None:
    gateway = Gateway([ok()])
    with Client(base, transport=httpx2.MockTransport(gateway.handle)) as client:
        client.solve(QUESTION)
    assert str(gateway.requests[0].url) == "http://gateway/glore/solve"


def test_every_call_has_a_user_agent(connect: Connect) -> None:
    gateway = Gateway([ok(), ok()])
    connect(gateway).solve(QUESTION)
    list(connect(gateway).solve_many([QUESTION]))
    for request in gateway.requests:
        assert request.headers["User-Agent"] == (
            f"glore-client/{glore_client.__version__} python/{platform.python_version()} "
            f"httpx2/{httpx2.__version__}"
        )


def test_a_user_agent_of_the_caller_is_sent() -> None:
    gateway = Gateway([ok()])
    transport = httpx2.MockTransport(gateway.handle)
    with Client("http://g", headers={"user-agent": "mine"}, transport=transport) as client:
        client.solve(QUESTION)
    assert gateway.requests[0].headers["User-Agent"] == "mine"


def test_the_version_is_the_same_everywhere() -> None:
    package = tomllib.loads((ROOT / "clients/python/pyproject.toml").read_text())["project"]
    assert glore_client.__version__ == package["version"]
    for user in ("service", "models"):
        project = tomllib.loads((ROOT / user / "pyproject.toml").read_text())["project"]
        assert f"glore-client=={package['version']}" in project["dependencies"]


@MAKERS
@pytest.mark.parametrize("headers", [{"X-Team": "hidden\nX: 1"}, {"X-Team": "hiddän"}, {"": "x"}])
def test_a_header_that_cannot_be_sent_is_refused(make: Make, headers: dict[str, str]) -> None:
    for refused in (make, make().with_options):
        with pytest.raises(ValueError, match="a header cannot carry") as caught:
            refused(headers=headers)
        assert "hidd" not in str(caught.value)


def test_with_options_has_defaults_of_its_own_and_the_same_connections(
    connect: Connect,
) -> None:
    gateway = Gateway([ok()])
    client = connect(gateway)
    other = client.with_options(
        timeout=3.0, strategy="draft", sampling=Sampling(temperature=0.5), headers={"X-Team": "b"}
    )
    assert type(other) is type(client)
    assert other._http is client._http
    other.solve(QUESTION)
    client.solve(QUESTION)
    other.solve(QUESTION, strategy="local", timeout=4.0)
    again = other.with_options(strategy="global", headers={"X-Other": "c"})
    again.solve(QUESTION)
    bodies = [gateway.body(i) for i in range(4)]
    assert [body.get("strategy") for body in bodies] == ["draft", None, "local", "global"]
    assert [body.get("sampling") for body in bodies] == [
        {"temperature": 0.5},
        None,
        {"temperature": 0.5},
        {"temperature": 0.5},
    ]
    assert [limits["read"] for limits in gateway.limits] == [3.0, 65.0, 4.0, 3.0]
    teams = [request.headers["X-Team"] for request in gateway.requests]
    assert teams == ["b", "maths", "b", "b"]
    assert [request.headers.get("X-Other") for request in gateway.requests] == [None] * 3 + ["c"]


def test_with_options_holds_for_many_questions_and_batches(connect: Connect) -> None:
    gateway = Gateway([ok(), ok(), streamed(LINES, FIRST + SECOND + THIRD + LAST)])
    client = connect(gateway).with_options(timeout=3.0, strategy="draft", headers={"X-Team": "b"})
    own = Question(QUESTION, strategy="local")
    assert len(list(client.solve_many([QUESTION, own], concurrency=1))) == 2
    assert len(list(client.solve_batch(QUESTIONS))) == 3
    assert [gateway.body(i)["strategy"] for i in range(3)] == ["draft", "local", "draft"]
    assert [limits["read"] for limits in gateway.limits[:2]] == [3.0, 3.0]
    assert all(request.headers["X-Team"] == "b" for request in gateway.requests)
    assert "Glore-Deadline-Ms" not in gateway.requests[2].headers  # a batch has its own timeout


def test_with_options_may_have_retries_of_its_own(connect: Connect) -> None:
    gateway = Gateway([error(503), ok()])
    client = connect(gateway)
    with pytest.raises(ServiceUnavailable):
        client.with_options(retry=RetryPolicy(max_retries=0)).solve(QUESTION)
    assert (client.solve(QUESTION)).answer == "12"


@MAKERS
@pytest.mark.parametrize("options", [{"timeout": -1.0}, {"deadline": 0.0}, {"strategy": "\ud83d"}])
def test_with_options_refuses_what_cannot_be_sent(make: Make, options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"must be a positive|cannot be encoded"):
        make().with_options(**options)
