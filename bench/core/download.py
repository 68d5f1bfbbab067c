"""Downloading a file from an address, within bounds, and only if its sha256 is as expected."""

from __future__ import annotations

import base64
import hashlib
import http.client
import queue
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Any

from bench.core.address import Address, parse_address, shown
from bench.core.errors import DownloadError
from bench.core.units import KIB

__all__ = ["Limits", "fetch"]

_CHUNK = 64 * KIB
_AGENT = "ethos-u55-bench"
_TELL = "download it where there is a network and name the file with `model = PATH`"
_TOO_MUCH = "check the address: this is not a model for an Ethos-U55"


@dataclass(frozen=True)
class Limits:
    """The bounds of a download."""

    #: Seconds in all, from looking up the name to the last byte.
    seconds: float = 600
    #: Without a byte.
    stall_s: float = 30
    #: Far more than fits into the flash of any device with an Ethos-U55.
    size: int = 256 * KIB * KIB


def fetch(url: str, sha256: str, limits: Limits | None = None) -> bytes:
    """The contents of `url`, if their sha256 is `sha256`.

    Raises `DownloadError` if the address is not allowed (see `parse_address`), does not answer,
    takes too long, or gives too much or something else. The error shows no secrets of `url`.
    """
    try:
        address = parse_address(url)
    except ValueError as error:
        raise DownloadError(f"{shown(url)}: {error}", cure="correct the address") from None
    content = _within(limits or Limits(), address, shown(url))
    digest = hashlib.sha256(content).hexdigest()
    if digest != sha256:
        raise DownloadError(
            f"{shown(url)}: gave {len(content):,} bytes with sha256 {digest}, expected {sha256}",
            cure="check for a login page between this machine and the address; if the file there "
            "has changed, check it and state its new sha256",
        )
    return content


def _within(limits: Limits, address: Address, name: str) -> bytes:
    """The download in a thread of its own, because looking up a name has no time limit."""
    outcome: queue.SimpleQueue[bytes | Exception] = queue.SimpleQueue()
    given_up = threading.Event()

    def work() -> None:
        try:
            outcome.put(_read(address, limits, name, given_up))
        except Exception as error:
            # The waiting thread raises it again.
            outcome.put(error)

    threading.Thread(target=work, name="download", daemon=True).start()
    try:
        got = outcome.get(timeout=limits.seconds)
    except queue.Empty:
        raise DownloadError(
            f"{name}: did not give the whole file within {limits.seconds:g} s", cure=_TELL
        ) from None
    finally:
        given_up.set()
    if isinstance(got, DownloadError):
        raise got
    if isinstance(got, OSError | http.client.HTTPException | ValueError):
        raise DownloadError(f"{name}: cannot be downloaded: {_reason(got)}", cure=_TELL) from None
    if isinstance(got, Exception):
        raise got
    return got


def _reason(error: Exception) -> str:
    """What went wrong, without the texts of the server and of urllib, which quote the address."""
    if isinstance(error, urllib.error.HTTPError) and error.code // 100 == 3:
        return "it leads to an address that is not allowed, or in a circle"
    if isinstance(error, urllib.error.HTTPError):
        return f"status {error.code} ({http.client.responses.get(error.code, 'unknown')})"
    if isinstance(error, urllib.error.URLError) and isinstance(error.reason, OSError):
        return _reason(error.reason)
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    if isinstance(error, TimeoutError):
        return "it stopped answering"
    if isinstance(error, ValueError):
        return "its answer cannot be understood"
    return type(error).__name__


def _read(address: Address, limits: Limits, name: str, given_up: threading.Event) -> bytes:
    request = urllib.request.Request(address.url, headers={"User-Agent": _AGENT})
    if address.credentials is not None:
        token = base64.b64encode(":".join(address.credentials).encode()).decode("ascii")
        # Unredirected: only for this server.
        request.add_unredirected_header("Authorization", f"Basic {token}")
    opener = urllib.request.build_opener(_Redirects(address, name), *_proxies(address))
    with opener.open(request, timeout=limits.stall_s) as reply:
        declared = _declared_length(reply, name)
        if declared is not None and declared > limits.size:
            raise _too_large(name, limits)
        content = bytearray()
        for piece in _pieces(reply):
            content += piece
            if len(content) > limits.size:
                raise _too_large(name, limits)
            if given_up.is_set():
                break
    if declared is not None and len(content) != declared:
        raise DownloadError(
            f"{name}: ended after {len(content):,} of {declared:,} bytes", cure="try again"
        )
    if not content:
        raise DownloadError(f"{name}: gave an empty file", cure="check the address")
    return bytes(content)


def _pieces(reply: http.client.HTTPResponse) -> Iterator[bytes]:
    while piece := reply.read1(_CHUNK):
        yield piece


def _declared_length(reply: http.client.HTTPResponse, name: str) -> int | None:
    """The length that the server states; None if it states none."""
    if reply.headers.get("Transfer-Encoding"):
        return None
    stated = set(reply.headers.get_all("Content-Length") or ())
    if not stated:
        return None
    text = stated.pop().strip()
    # No length of more digits fits any file; Python would refuse to read it.
    if stated or not (text.isascii() and text.isdigit() and len(text) < 20):
        raise DownloadError(
            f"{name}: the server states a length that is not a number, or several",
            cure="download the file by other means and name it with `model = PATH`",
        )
    return int(text)


def _too_large(name: str, limits: Limits) -> DownloadError:
    return DownloadError(f"{name}: gives more than {limits.size:,} bytes", cure=_TOO_MUCH)


def _proxies(address: Address) -> list[urllib.request.BaseHandler]:
    return [urllib.request.ProxyHandler({})] if address.is_loopback else []


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects only to addresses from which a download is allowed."""

    def __init__(self, address: Address, name: str) -> None:
        self._address = address
        self._name = name

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> Any:
        try:
            goal = parse_address(newurl)
        except ValueError as error:
            raise DownloadError(
                f"{self._name}: leads to an address that {error}",
                cure="name the file's own address",
            ) from None
        if goal.is_loopback and not self._address.is_loopback:
            raise DownloadError(
                f"{self._name}: leads to this machine itself", cure="name the file's own address"
            )
        # Credentials in the redirect's target are not sent.
        return super().redirect_request(req, fp, code, msg, headers, goal.url)
