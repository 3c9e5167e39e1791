"""Asks services for their list of models, which is free, to see whether they answer."""

import asyncio
import time
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from attrs import frozen

from dipeo.domain.secret import Secret
from dipeo.domain.service import LLMService

if TYPE_CHECKING:
    import aiohttp

PROBE_TIMEOUT_S: Final = 5.0

_PATHS: Final[Mapping[LLMService, str]] = MappingProxyType(
    {
        # These two give their lists in small pages unless they are asked for large ones.
        LLMService.ANTHROPIC: "/v1/models?limit=1000",
        LLMService.GOOGLE: "/v1beta/models?pageSize=1000",
        LLMService.OLLAMA: "/api/tags",
    }
)
_USUAL_PATH: Final = "/models"
_ANTHROPIC_VERSION: Final = "2026-10-21"
_REFUSED: Final = (401, 403)


@frozen(kw_only=True)
class Probe:
    """What a service said: its HTTP status, or why there is none."""

    status: int | None = None
    latency_ms: float | None = None
    problem: str | None = None

    @property
    def is_good(self) -> bool:
        """Whether the service answers, and takes the key."""
        return self.status is not None and 200 <= self.status < 300

    @property
    def is_refused(self) -> bool:
        """Whether the service answers, and does not take the key."""
        return self.status in _REFUSED


@frozen(kw_only=True)
class Target:
    """A service at an address, with the key if there is one."""

    service: LLMService
    base_url: str
    key: Secret | None


async def probe_all(targets: Mapping[LLMService, Target]) -> dict[LLMService, Probe]:
    """What each of these services says, all asked at once."""
    import aiohttp

    timeout = aiohttp.ClientTimeout(total=PROBE_TIMEOUT_S)
    async with aiohttp.ClientSession(timeout=timeout, cookie_jar=aiohttp.DummyCookieJar(), trust_env=False) as session:
        probes = await asyncio.gather(*(_probe(session, target) for target in targets.values()))
    return dict(zip(targets, probes, strict=True))


async def _probe(session: "aiohttp.ClientSession", target: Target) -> Probe:
    import aiohttp

    url = target.base_url + _PATHS.get(target.service, _USUAL_PATH)
    began_s = time.perf_counter()
    try:
        async with session.get(url, headers=_headers(target), allow_redirects=False) as response:
            latency_ms = (time.perf_counter() - began_s) * 1000
            return Probe(status=response.status, latency_ms=latency_ms)
    except TimeoutError:
        return Probe(problem=f"no answer within {PROBE_TIMEOUT_S:g} s")
    except (aiohttp.ClientError, OSError, ValueError):
        # The text of the error is left out: it may quote a header.
        return Probe(problem="cannot be reached")


def _headers(target: Target) -> dict[str, str]:
    versions = {"anthropic-version": _ANTHROPIC_VERSION} if target.service is LLMService.ANTHROPIC else {}
    if target.key is None:
        return versions
    key = target.key.reveal()
    if target.service is LLMService.ANTHROPIC:
        return {**versions, "x-api-key": key}
    if target.service is LLMService.GOOGLE:
        return {"x-goog-api-key": key}
    return {"Authorization": f"Bearer {key}"}
