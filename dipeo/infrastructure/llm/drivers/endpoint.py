"""Where a request goes, and with which key."""

import re
from ipaddress import ip_address
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
    if parts.scheme == "http" and has_key and not _is_loopback(parts.hostname):
        raise ConfigurationError(
            f"{field!r} is plain http: the API key would travel in the clear.",
            field=field,
            suggestion="Use https, or an address of this machine.",
        )
    return base_url.rstrip("/")


_LOCAL_NAMES: Final = frozenset({"localhost", "ip6-localhost"})


def _is_loopback(host: str) -> bool:
    if host in _LOCAL_NAMES or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
