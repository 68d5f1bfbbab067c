"""Addresses that files may be downloaded from, and how they are shown.

An address may hold credentials: a user with a password before the host, a token or a signature in
the query. They are for the server alone, so whatever is kept or printed is `shown`.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from urllib.parse import SplitResult, unquote, urlsplit, urlunsplit

__all__ = ["Address", "parse_address", "shown"]

_HIDDEN = "***"


@dataclass(frozen=True)
class Address:
    """An address taken apart: what is asked for, and with whose credentials."""

    #: Without user and password.
    url: str
    #: (user, password), where the address holds them.
    credentials: tuple[str, str] | None
    #: Whether the server is this machine.
    is_loopback: bool


def parse_address(text: str) -> Address:
    """Take `text` apart. Raises ValueError, which says nothing secret, for one that is not allowed.

    Allowed is https, and http from this machine itself: what anybody on the way can read and
    change is no source of models, whatever its sha256.
    """
    parts = _split(text)
    if not parts.hostname:
        raise ValueError("is no address: it names no host")
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
    """`text` for records and messages: without user, password and fragment, the query hidden."""
    try:
        parts = _without_user(_split(text))
    except ValueError:
        return "an address that cannot be read"
    query = _HIDDEN if parts.query else ""
    return urlunsplit(parts._replace(query=query, fragment=""))


def _split(text: str) -> SplitResult:
    if not text.isprintable() or " " in text:
        raise ValueError("is no address: it holds blanks or unprintable characters")
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError:
        # urllib's words quote the address.
        raise ValueError("is no address: its host or port cannot be read") from None
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
