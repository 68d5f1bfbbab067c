"""Downloads: bounded, checked, from where they may come from, and silent about credentials."""

from __future__ import annotations

import hashlib
import io
import socket
import time
from collections.abc import Callable
from http.client import HTTPMessage
from itertools import count
from urllib.request import Request

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.core.address import parse_address, shown
from bench.core.download import Limits, _Redirects, fetch
from bench.core.errors import DownloadError
from tests.support.http_servers import Answer, file, reply, serving

CONTENT = b"a model" * 1000
SHA256 = hashlib.sha256(CONTENT).hexdigest()
SMALL = Limits(seconds=5, stall_s=2, size=100_000)
SECRETS = ("s3cret", "us@er", "us%40er", "t0ken", "fr4gment")


def with_secrets(url: str) -> str:
    return url.replace("http://", "http://us%40er:s3cret@") + "?sig=t0ken#fr4gment"


def drip(pieces: int, between: float) -> Answer:
    """Headers, then a byte at a time."""

    def answer(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        for _ in range(pieces):
            connection.sendall(b"x")
            time.sleep(between)

    return answer


def endless(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        connection.sendall(b"x" * 10_000)


def drip_headers(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\n")
    for number in count():
        connection.sendall(b"X-%d: y\r\n" % number)
        time.sleep(0.1)


def test_the_right_file_is_given_whole() -> None:
    with serving(file(CONTENT)) as server:
        assert fetch(server.url, SHA256, SMALL) == CONTENT
        assert fetch(server.url + "?a=b", SHA256, SMALL) == CONTENT
        assert server.requests[1].startswith("GET /m.tflite?a=b ")


@pytest.mark.parametrize(
    "answer",
    [
        reply(CONTENT),
        reply(
            b"%x\r\n%s\r\n0\r\n\r\n" % (len(CONTENT), CONTENT),
            "Transfer-Encoding: chunked",
        ),
        reply(CONTENT, f"Content-Length: {len(CONTENT)}", f"Content-Length: {len(CONTENT)}"),
    ],
    ids=["without a length", "in chunks", "the same length twice"],
)
def test_other_ways_to_give_a_file(answer: Answer) -> None:
    with serving(answer) as server:
        assert fetch(server.url, SHA256, SMALL) == CONTENT


REFUSED: dict[str, tuple[Answer, str]] = {
    "other content": (file(b"<html>log in</html>"), f"with sha256 .*, expected {SHA256}"),
    "nothing": (file(b""), "gave an empty file"),
    "not found": (reply(b"", status="404 s3cret"), r"status 404 \(Not Found\)"),
    "no such status": (reply(b"", status="799 \x1b[31m"), r"status 799 \(unknown\)"),
    "too short": (reply(b"half", "Content-Length: 100"), "ended after 4 of 100 bytes"),
    "chunk too short": (reply(b"64\r\nhalf", "Transfer-Encoding: chunked"), "IncompleteRead"),
    "says too much": (reply(b"", "Content-Length: 100001"), "gives more than 100,000 bytes"),
    "gives too much": (endless, "gives more than 100,000 bytes"),
    "a word for a length": (
        reply(CONTENT, "Content-Length: long"),
        "a length that is not a number",
    ),
    "a negative length": (reply(CONTENT, "Content-Length: -5"), "a length that is not a number"),
    "a signed length": (reply(CONTENT, "Content-Length: +7000"), "a length that is not a number"),
    "a length beyond all": (reply(CONTENT, "Content-Length: 1" + 5000 * "0"), "is not a number"),
    "two lengths": (reply(CONTENT, "Content-Length: 5", "Content-Length: 7"), "or several"),
    "no HTTP": (lambda connection: connection.sendall(b"s3cret\n"), "cannot be downloaded"),
    "hangs up": (lambda connection: None, "cannot be downloaded"),
    "to a file": (reply(b"", "Location: file:///etc/passwd", status="302 Found"), "not allowed"),
    "to plain http": (
        reply(b"", "Location: http://us@example.com/t0ken", status="302 Found"),
        "leads to an address that begins with http:, and only https is allowed",
    ),
    "to no address": (
        reply(b"", "Location: http://[::s3cret/", status="301 Moved"),
        "be understood",
    ),
    "to itself": (reply(b"", "Location: /m.tflite", status="302 Found"), "in a circle"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_is_refused_says_why_and_nothing_secret(kind: str) -> None:
    answer, words = REFUSED[kind]
    with serving(answer) as server, pytest.raises(DownloadError, match=words) as caught:
        fetch(with_secrets(server.url), SHA256, SMALL)
    assert shown(server.url) in str(caught.value)
    # A traceback prints what an error came from.
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    assert not [secret for secret in SECRETS if secret in str(caught.value)]
    assert "\x1b" not in str(caught.value)


#: Heads after which a body has no end that the client could know.
HEADS = {
    "no length": b"HTTP/1.1 200 OK\r\n\r\n",
    "HTTP/1.0": b"HTTP/1.0 200 OK\r\n\r\n",
    "chunks": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
    "chunks and a length": b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n",
}


@pytest.mark.parametrize("kind", HEADS)
def test_no_more_is_read_than_may_be_whatever_the_server_states(kind: str) -> None:
    """A server gives far more than the limit, and then ends as it should."""
    piece, pieces, sent = b"x" * 100_000, 640, []

    def answer(connection: socket.socket) -> None:
        chunked = "chunks" in kind
        connection.sendall(HEADS[kind])
        for _ in range(pieces):
            connection.sendall(b"%x\r\n%s\r\n" % (len(piece), piece) if chunked else piece)
            sent.append(len(piece))
        connection.sendall(b"0\r\n\r\n" if chunked else b"")

    limits = Limits(seconds=60, stall_s=60, size=150_000)
    with (
        serving(answer) as server,
        pytest.raises(DownloadError, match="gives more than 150,000 bytes"),
    ):
        fetch(server.url, SHA256, limits)
    # What the kernel keeps for both ends is a few MB.
    assert sum(sent) < len(piece) * pieces / 2


@pytest.mark.parametrize(
    ("answer", "limits", "words"),
    [
        (drip(100, 0.1), Limits(seconds=0.5, stall_s=5), "within 0.5 s"),
        (drip_headers, Limits(seconds=0.5, stall_s=5), "within 0.5 s"),
        (drip(100, 3), Limits(seconds=30, stall_s=0.3), "it stopped answering"),
        (lambda connection: time.sleep(3), Limits(seconds=30, stall_s=0.3), "timed out|stopped"),
    ],
    ids=["drips", "drips headers", "stalls", "says nothing"],
)
def test_a_slow_server_costs_bounded_time(answer: Answer, limits: Limits, words: str) -> None:
    start = time.monotonic()
    with serving(answer) as server, pytest.raises(DownloadError, match=words):
        fetch(server.url, SHA256, limits)
    assert time.monotonic() - start < 2.5


def test_nobody_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/m.tflite"
    with pytest.raises(DownloadError, match=rf"{url}\?\*\*\*: cannot be downloaded: .*refused"):
        fetch(with_secrets(url), SHA256, SMALL)


def test_credentials_go_to_the_server_and_not_where_it_leads() -> None:
    with serving(file(CONTENT)) as goal:
        moved = reply(b"", f"Location: {goal.url}", status="302 Found")
        with serving(moved) as server:
            assert fetch(with_secrets(server.url), SHA256, SMALL) == CONTENT
            # us@er:s3cret
            assert "Authorization: Basic dXNAZXI6czNjcmV0\r\n" in server.requests[0]
            assert "?sig=t0ken " in server.requests[0]
        assert "Authorization" not in goal.requests[0]
        assert not [secret for secret in SECRETS if secret in goal.requests[0]]


@pytest.mark.parametrize(
    ("goal", "words"),
    [
        ("http://127.0.0.1/x", "leads to this machine itself"),
        ("http://127.9.9.9:8000/x", "leads to this machine itself"),
        ("https://localhost/x", "leads to this machine itself"),
        ("http://[::1]/x", "leads to this machine itself"),
        ("http://example.com/x", "only https is allowed"),
        ("ftp://example.com/x", "only https is allowed"),
    ],
)
def test_no_server_elsewhere_leads_to_this_machine_or_off_https(goal: str, words: str) -> None:
    """What would be asked there is not what the server could ask itself."""
    address = parse_address("https://example.com/m.tflite")
    request = Request(address.url)
    follow = _Redirects(address, "m.tflite").redirect_request
    with pytest.raises(DownloadError, match=words):
        follow(request, io.BytesIO(), 302, "Found", HTTPMessage(), goal)
    elsewhere = "https://other.example/m.tflite"
    followed = follow(request, io.BytesIO(), 302, "Found", HTTPMessage(), elsewhere)
    assert followed.full_url == elsewhere


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://example.com/m.tflite", "begins with http:, and only https is allowed"),
        ("http://127.0.0.1.example.com/m", "only https is allowed"),
        ("file:///etc/passwd", "names no host"),
        ("file://localhost/etc/passwd", "only https is allowed"),
        ("ftp://example.com/m", "only https is allowed"),
        ("data:text/plain,x", "names no host"),
        ("m.tflite", "names no host"),
        ("", "names no host"),
        ("https://us:s3cret@host:port/m", "host or port cannot be read"),
        ("https://[::1/m", "host or port cannot be read"),
        ("https://example.com/a b", "blanks or unprintable"),
        ("https://example.com/\x1b[2J", "blanks or unprintable"),
        ("https://example.com/\r\nHost: x", "blanks or unprintable"),
    ],
)
def test_addresses_that_are_not_allowed(url: str, words: str) -> None:
    with pytest.raises(ValueError, match=words) as refused:
        parse_address(url)
    assert "s3cret" not in str(refused.value)
    with pytest.raises(DownloadError, match=words) as caught:
        fetch(url, SHA256, SMALL)
    assert "s3cret" not in str(caught.value)
    assert str(caught.value).isprintable() or "\n  -> " in str(caught.value)


_word = st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="/?#@:[]%"))


@given(_word, _word, _word, st.sampled_from([shown, lambda url: parse_address(url).url]))
def test_whatever_stands_before_the_host_is_not_shown(
    user: str, password: str, path: str, show: Callable[[str], str]
) -> None:
    told = show(f"https://{user}:{password}@example.com:8443/{path}")
    assert told == f"https://example.com:8443/{path}"


def test_the_query_is_hidden_where_it_is_shown_and_sent_where_it_is_asked_for() -> None:
    url = "https://example.com/m?X-Amz-Signature=t0ken#part"
    assert shown(url) == "https://example.com/m?***"
    assert parse_address(url).url == "https://example.com/m?X-Amz-Signature=t0ken"
