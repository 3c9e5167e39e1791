"""Where a request goes, and with which key."""

import re
from collections.abc import Mapping
from ipaddress import IPv6Address, ip_address
from typing import Final
from urllib.parse import urlsplit

from attrs import frozen

from dipeo.domain.errors import ConfigurationError
from dipeo.domain.secret import Secret
from dipeo.domain.service import LLMService


@frozen(kw_only=True, eq=False, weakref_slot=True)
class Endpoint:
    """A service at an address; `key` is None for a service that asks for none.

    Compared by identity: the directory gives out one object for each service, address and key.
    """

    service: LLMService
    base_url: str
    key: Secret | None = None

    def bearer(self) -> Mapping[str, str]:
        """The header that carries the key where a service wants it as a bearer token; none without a key."""
        return {"Authorization": f"Bearer {self.key.reveal()}"} if self.key else {}


# `urlsplit` drops some of these in silence, and an empty query or fragment swallows the path that is put behind it.
_UNWANTED: Final = re.compile(r"[\s?#@\\\x00-\x1f\x7f-\x9f]")


def check_base_url(base_url: str, *, field: str, has_key: bool) -> str:
    """The base URL without a slash at its end.

    Raises `ConfigurationError` for an address that is no http(s) URL, that carries user information, a query or a
    fragment, or that would send a key in the clear: plain http is for this machine alone.
    """
    if _UNWANTED.search(base_url):
        raise ConfigurationError(
            f"{field!r} must hold no user name, query, fragment, white space or control character.",
            field=field,
            suggestion="Write it as https://host/path, and pass keys as API keys.",
        )
    try:
        parts = urlsplit(base_url)
        is_address = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_address = False
    if not is_address or parts.hostname is None:
        raise ConfigurationError(f"{field!r} is not a http or https URL.", field=field)
    if parts.scheme == "http" and has_key and not is_loopback(parts.hostname):
        raise ConfigurationError(
            f"{field!r} is plain http: the API key would travel in the clear.",
            field=field,
            suggestion="Use https, or an address of this machine.",
        )
    return base_url.rstrip("/")


def is_loopback(host: str) -> bool:
    """Whether the host is this machine by its very name: 127.0.0.0/8, `::1`, `localhost` and names below it."""
    name = host.lower().removesuffix(".")
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        address = ip_address(name)
    except ValueError:
        return False
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return (mapped or address).is_loopback
