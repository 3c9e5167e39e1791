"""The proxy of the environment, for the wires that use one: those of the official clients."""

from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from dipeo.infrastructure.llm.drivers.endpoint import is_loopback


def proxy_for(base_url: str) -> str | None:
    """The proxy on the way to this address, or None.

    To this machine there is never one, whatever the environment says: a proxy would read the key, which travels in the
    clear there. To any other machine a key goes by https alone, which a proxy passes on without reading it.
    """
    parts = urlsplit(base_url)
    host = parts.hostname or ""
    if is_loopback(host) or proxy_bypass(host if parts.port is None else f"{host}:{parts.port}"):
        return None
    proxies = getproxies()
    proxy = proxies.get(parts.scheme) or proxies.get("all")
    if not proxy:
        return None
    return proxy if "://" in proxy else f"http://{proxy}"
