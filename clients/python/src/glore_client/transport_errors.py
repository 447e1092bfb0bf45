"""Errors between client and gateway, in plain words."""

import socket
import ssl
from collections.abc import Iterator

import httpx2

from glore_client.visible import excerpt

# OpenSSL's errors if a server answers a TLS handshake in another protocol.
_NO_TLS = frozenset(
    {"WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "UNKNOWN_PROTOCOL", "HTTP_REQUEST"}
)


def in_words(error: httpx2.RequestError, url: httpx2.URL | None) -> str:
    """The error for readers who know neither httpx2 nor OpenSSL."""
    detail = excerpt(str(error)) or type(error).__name__
    if isinstance(error, httpx2.ConnectError):
        return f"cannot connect: {_no_connection(error, url) or detail}"
    if isinstance(error, httpx2.ProxyError):
        return f"the proxy made no connection: {detail}"
    return f"the call broke off: {detail}"


def https_hint(error: httpx2.RequestError, url: httpx2.URL | None) -> str:
    """A hint if a server does not answer plain http: one that speaks https does the same."""
    if url is None or url.scheme != "http":
        return ""
    unread = isinstance(error, httpx2.RemoteProtocolError) and str(error).startswith(
        ("Server disconnected", "illegal")
    )
    if unread or any(isinstance(each, ConnectionResetError) for each in _causes(error)):
        return "; if the server speaks https, the base URL has to begin with https://"
    return ""


def is_lasting(error: BaseException | None) -> bool:
    """Whether the next attempt would fail too: no TLS there, or an untrusted certificate."""
    return any(
        isinstance(each, ssl.SSLCertVerificationError)
        or (isinstance(each, ssl.SSLError) and _reason(each) in _NO_TLS)
        for each in _causes(error)
    )


def _no_connection(error: httpx2.ConnectError, url: httpx2.URL | None) -> str | None:
    host = "the host" if url is None else url.host
    for cause in _causes(error):
        if isinstance(cause, ssl.SSLError):
            return _no_tls(cause, host)
        if isinstance(cause, socket.gaierror):
            return f"the name {host} cannot be resolved ({cause.strerror})"
        if isinstance(cause, ConnectionRefusedError):
            return "connection refused; nothing listens there"
    return None


def _no_tls(error: ssl.SSLError, host: str) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        fault = excerpt(getattr(error, "verify_message", None) or str(error))
        return f"the certificate of {host} is not trusted ({fault})"
    if isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError):
        return "the server hung up during the TLS handshake; does it speak https?"
    if _reason(error) in _NO_TLS:
        return "the server does not speak https; should the base URL begin with http://?"
    return f"the TLS handshake failed ({_reason(error) or excerpt(str(error))})"


def _reason(error: ssl.SSLError) -> str | None:
    """OpenSSL's name for it; only errors that it raised itself have one."""
    return getattr(error, "reason", None)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """The error and its causes, with the members of groups."""
    while error is not None:
        yield error
        if isinstance(error, BaseExceptionGroup):
            for each in error.exceptions:
                yield from _causes(each)
        error = error.__cause__ or error.__context__
