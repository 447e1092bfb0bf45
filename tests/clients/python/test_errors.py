"""What an error says: the URL, and in plain words what is wrong with it, the key or the answer."""

import re
import socket
import ssl
from typing import Any

import httpx2
import pytest

from glore_client import (
    APIConnectionError,
    APIStatusError,
    AuthenticationError,
    BadGateway,
    Failed,
    GloreError,
    InvalidResponseError,
    NotFound,
    Outcome,
    RetryPolicy,
)
from tests.clients.python import samples
from tests.clients.python.fakes import (
    EVENTS,
    LINES,
    Call,
    Connect,
    Gateway,
    make_call,
    read_stream,
    streamed,
)
from tests.clients.python.samples import QUESTION
from tests.clients.python.sockets import replying

NGINX = (
    "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n"
    "<center><h1>502 Bad Gateway</h1></center>\r\n<hr><center>nginx/1.18.0</center>\r\n"
    "</body>\r\n</html>\r\n"
)
ONCE = RetryPolicy(max_retries=0)
URLS = {"solve": "POST {}/solve", "stream": "POST {}/solve", "batch": "POST {}/solve/batch"}
URLS |= {"feedback": "POST {}/feedback", "ready": "GET {}/readyz"}


def failure(call: Call, base: str = "http://gateway", **client: Any) -> GloreError:
    """The error that the call ends with; it names its method and URL."""
    with pytest.raises(GloreError) as caught:
        call(base, retry=ONCE, **client)
    error = caught.value
    named = URLS[call.name].format(base)
    assert str(error) == f"{error.message} ({named})"
    assert f"{error.method} {error.url}" == named
    assert str(error).isprintable()
    assert error.__context__ is None or isinstance(error.__context__, httpx2.RequestError)
    return error


def of(response: httpx2.Response | Exception) -> httpx2.MockTransport:
    return httpx2.MockTransport(Gateway([response]).handle)


def test_the_error_of_a_proxys_page_has_its_status_and_beginning(call: Call) -> None:
    error = failure(call, transport=of(httpx2.Response(502, text=NGINX)))
    assert isinstance(error, BadGateway)
    assert error.message.startswith("status 502: <html> <head><title>502 Bad Gateway</title>")
    assert error.problem is None


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "status 500, with an empty body"),
        (b" \r\n", "status 500, with an empty body"),
        (b"upstream\nfailed", "status 500: upstream failed"),
        (b'{"error": {"message": "no such model"}}', 'status 500: {"error": {"message": "no such'),
        (b'{"detail": "Not Found"}', "500: Not Found"),
        (b'{"detail": ["a", "b"]}', 'status 500: {"detail": ["a", "b"]}'),
        (b"null", "status 500: null"),
        (b"[" * 1000, "status 500: [[[["),
        (b"\xff\xfe\x00a", "status 500: \ufffd\ufffd\\x00a"),
        (b'{"detail": "\\u001b]0;x\\u0007 \\u202e"}', r"500: \x1b]0;x\x07 \u202e"),
        (b"x" * 60_000, f"status 500: {'x' * 199}…"),
    ],
)
def test_an_error_body_of_any_kind_is_quoted(call: Call, body: bytes, message: str) -> None:
    error = failure(call, transport=of(httpx2.Response(500, content=body)))
    assert isinstance(error, APIStatusError)
    assert error.message.startswith(message)
    assert (error.problem is None) == message.startswith("status")


def test_an_error_whose_body_breaks_off_is_still_that_error(call: Call) -> None:
    cut = streamed({}, b"<html>", httpx2.RemoteProtocolError("hung up"))
    cut.status_code = 502
    error = failure(call, transport=of(cut))
    assert isinstance(error, BadGateway)
    assert error.message == "status 502: <html>"


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ({"text": "<html>Log in</html>"}, "Invalid JSON: .*; it begins with: <html>Log in</html>"),
        ({"content": b""}, "it is empty"),
        ({"json": ["x"]}, "Input should be an object"),
        ({"json": {"answer": "1"}}, "id: Field required"),
        (
            {"json": samples.result() | {"candidates": []}},
            "candidates: Tuple should have at least 1",
        ),
        ({"json": samples.result() | {"answer": 5}}, "answer: Input should be a valid string"),
    ],
)
def test_an_invalid_answer_is_described(
    connect: Connect, answer: dict[str, Any], message: str
) -> None:
    with pytest.raises(InvalidResponseError, match=rf"^status 200, but .*{message}"):
        connect(Gateway([httpx2.Response(200, **answer)])).solve(QUESTION)


@pytest.mark.parametrize("call", ["stream", "batch"])
def test_a_page_in_place_of_a_stream_is_quoted(connect: Connect, call: str) -> None:
    page = httpx2.Response(200, html="<html>Log in</html>")
    text = r"status 200, but the answer is text/html, not .*: <html>Log in</html>"
    with pytest.raises(InvalidResponseError, match=text):
        make_call(connect(Gateway([page])), call)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_names_its_target(call: Call, status: int) -> None:
    headers = {"Location": "https://gateway/solve", "X-Request-ID": "req-3"}
    moved = httpx2.Response(status, headers=headers, html="moved")
    error = failure(call, transport=of(moved))
    assert isinstance(error, APIStatusError)
    assert (error.status, error.request_id) == (status, "req-3")
    assert error.message == (
        f"status {status}: a redirect to https://gateway/solve, which is not followed; "
        "set the base URL to it"
    )


def test_a_wrong_key_and_a_missing_key_have_different_texts(call: Call) -> None:
    body = samples.problem(401, "Send a key that this gateway knows.")
    none = failure(call, transport=of(httpx2.Response(401, json=body)))
    wrong = failure(call, transport=of(httpx2.Response(401, json=body)), api_key="k-hidden")
    page = failure(call, transport=of(httpx2.Response(401, html=NGINX)), api_key="k-hidden")
    for error in (none, wrong, page):
        assert "hidden" not in str(error)
    assert isinstance(none, AuthenticationError)
    assert isinstance(wrong, AuthenticationError)
    assert isinstance(page, AuthenticationError)
    assert [error.key_sent for error in (none, wrong, page)] == [False, True, True]
    assert none.message.endswith("No API key was sent: pass api_key, or set GLORE_API_KEY.")
    for error in (wrong, page):
        assert error.message.endswith("The API key that was sent is not accepted.")


def test_404_names_a_path_in_the_base_url(call: Call) -> None:
    nothing = httpx2.Response(404, json={"detail": "Not Found"})
    error = failure(call, "http://gateway:8000/v1", transport=of(nothing))
    assert isinstance(error, NotFound)
    assert error.message == (
        "404: Not Found. The base URL has the path /v1; "
        "a gateway's is as a rule http://gateway:8000/ alone."
    )
    plain = failure(call, transport=of(httpx2.Response(404, html="<html>no such page")))
    assert plain.message.endswith("no such page. Is there a GLoRe gateway at http://gateway/?")
    said = failure(call, transport=of(httpx2.Response(404, json=samples.problem(404, "No."))))
    assert said.message == "404: No."


def test_a_password_in_the_url_is_not_shown(call: Call) -> None:
    seen: list[str] = []

    def refuse(request: httpx2.Request) -> httpx2.Response:
        seen.append(request.headers["Authorization"])
        message = "refused"
        raise httpx2.ConnectError(message)

    with pytest.raises(GloreError) as caught:
        call("http://ann:hidden@gateway", retry=ONCE, transport=httpx2.MockTransport(refuse))
    assert seen
    assert "hidden" not in str(caught.value)
    assert "http://gateway/" in str(caught.value)


@pytest.mark.parametrize("call", ["stream", "batch"])
def test_an_error_in_mid_answer_names_the_url(connect: Connect, call: str) -> None:
    problem = samples.problem(503, "Gone\x1b[2J" + "." * 5000)
    text = r"^503: Gone\\x1b\[2J\.{900,}… \(POST http://gateway/solve"
    if call == "stream":
        parts = samples.as_events([("error", problem)])
        with pytest.raises(APIStatusError, match=text):
            read_stream(connect(Gateway([streamed(EVENTS, parts)])), deadline=0.2)
        return
    lines = samples.line(0, error=problem) + samples.last_line(ok=0, errors=1)
    outcomes: list[Outcome] = []
    outcomes.extend(connect(Gateway([streamed(LINES, lines)])).solve_batch(["?"]))
    assert isinstance(outcomes[0], Failed)
    assert re.match(text, str(outcomes[0].error))


REFUSED = b"HTTP/1.1 400 Bad Request\r\n\r\n"
TLS_ALERT = bytes.fromhex("15030300020246")
HTTPS_WANTED = "the base URL has to begin with https://"


@pytest.mark.parametrize(
    ("reply", "text"),
    [
        (REFUSED, "the server does not speak https"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "the server does not speak https"),
        (b"", "the server hung up during the TLS handshake; does it speak https?"),
    ],
)
def test_https_to_a_port_for_http_is_explained(call: Call, reply: bytes, text: str) -> None:
    with replying(reply) as address:
        error = failure(call, f"https://{address}")
    assert isinstance(error, APIConnectionError)
    assert error.message.startswith(f"cannot connect: {text}")
    assert "SSL" not in str(error)


@pytest.mark.parametrize(
    "reply",
    [
        b"",
        TLS_ALERT,
        REFUSED + b"Client sent an HTTP request to an HTTPS server.\n",  # Go
        REFUSED + b"<html>The plain HTTP request was sent to HTTPS port",  # nginx
        REFUSED + b"Reason: You're speaking plain HTTP to an SSL-enabled server port.",  # Apache
    ],
)
def test_http_to_a_port_for_https_is_explained(call: Call, reply: bytes) -> None:
    with replying(reply) as address:
        error = failure(call, f"http://{address}")
    assert HTTPS_WANTED in error.message


def test_http_to_a_server_with_tls_is_explained(call: Call) -> None:
    with replying(b"", ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)) as address:
        error = failure(call, f"http://{address}")
    assert HTTPS_WANTED in error.message


def caused_by(cause: Exception) -> httpx2.ConnectError:
    error = httpx2.ConnectError(str(cause))
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("cause", "text"),
    [
        (
            ssl.SSLCertVerificationError(1, "self-signed"),
            "the certificate of gateway is not trusted",
        ),
        (ssl.SSLError(1, "no cipher"), "the TLS handshake failed"),
        (ConnectionRefusedError(111, "x"), "connection refused; nothing listens there"),
        (
            ExceptionGroup("all failed", [ConnectionRefusedError(111, "x")]),
            "connection refused; nothing listens there",
        ),
        (socket.gaierror(-2, "not known"), r"the name gateway cannot be resolved (not known)"),
    ],
)
def test_the_cause_of_a_failed_connection_is_explained(
    call: Call, cause: Exception, text: str
) -> None:
    error = failure(call, transport=of(caused_by(cause)))
    assert error.message.startswith(f"cannot connect: {text}")


def test_an_untrusted_certificate_is_not_retried(connect: Connect) -> None:
    untrusted = Gateway([caused_by(ssl.SSLCertVerificationError(1, "self-signed"))])
    with pytest.raises(APIConnectionError, match="is not trusted"):
        connect(untrusted).solve(QUESTION)
    assert len(untrusted.requests) == 1


def test_a_proxy_that_refuses_is_named(call: Call) -> None:
    error = failure(call, transport=of(httpx2.ProxyError("407 Proxy Authentication Required")))
    assert error.message == "the proxy made no connection: 407 Proxy Authentication Required"
