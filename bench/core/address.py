"""Addresses from which files may be downloaded, and how they are shown.

An address may contain credentials: a user with a password before the host, or a token or signature
in the query. They are only for the server. What is stored or printed is the result of `shown`.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from urllib.parse import SplitResult, unquote, urlsplit, urlunsplit

__all__ = ["Address", "parse_address", "shown"]

_HIDDEN = "***"


@dataclass(frozen=True)
class Address:
    """An address in its parts: what to request, and with which credentials."""

    #: Without user and password.
    url: str
    #: (user, password), if the address has them.
    credentials: tuple[str, str] | None
    #: Whether the server is this machine.
    is_loopback: bool


def parse_address(text: str) -> Address:
    """Parse `text`. Raises ValueError, without secrets in its text, if it is not allowed.

    Only https is allowed, and http from this machine itself. A connection that others can read and
    change is not a source of models, whatever the sha256.
    """
    parts = _split(text)
    if not parts.hostname:
        raise ValueError("is not an address: it names no host")
    is_loopback = _is_loopback(parts.hostname)
    if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback):
        raise ValueError(
            f"begins with {parts.scheme or 'nothing'}:, and only https is allowed (http from "
            "this machine itself); a file here is named with `model = PATH`"
        )
    credentials = None
    if parts.username is not None:
        credentials = (unquote(parts.username), unquote(parts.password or ""))
    return Address(urlunsplit(_without_user(parts)._replace(fragment="")), credentials, is_loopback)


def shown(text: str) -> str:
    """`text` for records and messages: without user, password and fragment, with a hidden query."""
    try:
        parts = _without_user(_split(text))
    except ValueError:
        return "an address that cannot be read"
    query = _HIDDEN if parts.query else ""
    return urlunsplit(parts._replace(query=query, fragment=""))


def _split(text: str) -> SplitResult:
    if not text.isprintable() or " " in text:
        raise ValueError("is not an address: it contains blanks or unprintable characters")
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError:
        # urllib's message quotes the address.
        raise ValueError("is not an address: its host or port cannot be read") from None
    return parts


def _without_user(parts: SplitResult) -> SplitResult:
    return parts._replace(netloc=parts.netloc.rpartition("@")[2])


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
