"""What the probe stream says and what it calls things; what it does is in integration/test_probe_stream.py."""

from __future__ import annotations

import errno
import socket

import h11
import pytest

from adaf_pipeline.errors import ConfigError
from adaf_pipeline.workflows import probe
from adaf_pipeline.workflows.probe import ProbeSettings, ProbeStream


def wire(method: str, keep: bool, settings: ProbeSettings | None = None) -> bytes:
    stream = ProbeStream("http://127.0.0.1:8080", settings)
    path = stream.settings.post if method == "POST" else stream.settings.get[0]
    return h11.Connection(h11.CLIENT).send(stream._messages[method, path, keep]) or b""


def test_a_post_has_an_idempotency_key_and_a_get_has_none() -> None:
    post, get = wire("POST", True), wire("GET", True)
    assert post.startswith(b"POST /api/probe HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n")
    assert b"Idempotency-Key: " + probe.ID.encode() in post and b"Content-Length: 2\r\n" in post
    assert get.startswith(b"GET / HTTP/1.1\r\n") and b"Idempotency-Key" not in get
    for words in (post, get):
        assert b"X-Request-Id: " + probe.ID.encode() in words
        assert b"Cookie: adaf_visitor=" + probe.ID.encode() in words
        assert b"Connection:" not in words


def test_a_connection_of_its_own_says_so() -> None:
    assert b"Connection: close\r\n" in wire("GET", False)


def test_paths_and_cookie_are_settings() -> None:
    settings = ProbeSettings(get=("/shop?x=1",), post="/ping", cookie="v")
    assert wire("GET", True, settings).startswith(b"GET /shop?x=1 HTTP/1.1")
    assert wire("POST", True, settings).startswith(b"POST /ping HTTP/1.1")
    assert b"Cookie: v=" in wire("GET", True, settings)


def test_headers_of_the_edge_are_sent_by_every_request() -> None:
    settings = ProbeSettings(headers={"X-Pass": "of the day"})
    for method, kept in (("GET", True), ("GET", False), ("POST", True), ("POST", False)):
        assert b"\r\nX-Pass: of the day\r\n" in wire(method, kept, settings)


@pytest.mark.parametrize(
    ("url", "settings"),
    [
        ("https://example.org", ProbeSettings()),
        ("127.0.0.1:80", ProbeSettings()),
        ("http://127.0.0.1", ProbeSettings(get=("/a b",))),
        ("http://127.0.0.1", ProbeSettings(cookie="a\r\nb")),
        ("http://127.0.0.1", ProbeSettings(headers={"X-Pass": "a\r\nb"})),
    ],
)
def test_what_could_never_work_is_refused_at_once(url: str, settings: ProbeSettings) -> None:
    with pytest.raises(ConfigError, match="probe stream"):
        ProbeStream(url, settings)


def test_a_stream_that_was_never_started_can_be_ended() -> None:
    stream = ProbeStream("http://127.0.0.1:1")
    assert stream.stop() == ()
    stream.close()


def test_an_idle_connection_is_good_until_the_other_side_says_something() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        assert probe.still_open(ours)
        theirs.send(b"HTTP/1.1 408 Request Timeout\r\n")
        assert not probe.still_open(ours)
    ours, theirs = socket.socketpair()
    with ours:
        ours.setblocking(False)
        theirs.close()
        assert not probe.still_open(ours)


@pytest.mark.parametrize(
    ("exc", "word"),
    [
        (TimeoutError(), "timeout"),
        (ConnectionRefusedError(), "refused"),
        (ConnectionResetError(), "reset"),
        (BrokenPipeError(), "reset"),
        (probe.ClosedError(), "closed"),
        (probe.TruncatedError(), "truncated"),
        (h11.RemoteProtocolError("x"), "garbled"),
        (OSError(errno.EHOSTUNREACH, "x"), "EHOSTUNREACH"),
    ],
)
def test_one_word_for_each_end(exc: Exception, word: str) -> None:
    assert probe.name(exc) == word
