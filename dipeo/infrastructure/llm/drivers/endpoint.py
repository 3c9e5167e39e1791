"""Where a request goes, and with which key."""

from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

from attrs import frozen

from dipeo.domain.errors import ConfigurationError
from dipeo.domain.secret import Secret
from dipeo.domain.service import LLMService


@frozen(kw_only=True, eq=False)
class Endpoint:
    """A service at an address; `key` is None for a service that asks for none.

    Compared by identity: the directory gives out one object for each service, address and key.
    """

    service: LLMService
    base_url: str
    key: Secret | None = None


def check_base_url(base_url: str, *, field: str, has_key: bool) -> str:
    """The base URL without a slash at its end.

    Raises `ConfigurationError` for an address that is no http(s) URL, that carries user information, a query or a
    fragment, or that would send a key in the clear: plain http is for this machine alone.
    """
    parts = urlsplit(base_url)
    if parts.scheme not in ("http", "https") or not parts.hostname or base_url != base_url.strip():
        raise ConfigurationError(f"{field!r} is not a http or https URL.", field=field)
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ConfigurationError(
            f"{field!r} must hold no user name, query or fragment.", field=field, suggestion="Pass keys as API keys."
        )
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
