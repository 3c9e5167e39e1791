"""The simulator itself: its life and its connections."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping, Sequence
from types import MappingProxyType, TracebackType
from typing import Self

from aiohttp import web

from dipeo.domain.ports.clock import ClockPort
from dipeo.testing.simulator.connections import CountingServer
from dipeo.testing.simulator.counters import SimulatorCounters
from dipeo.testing.simulator.faults.dealing import FaultDealer, FaultWish
from dipeo.testing.simulator.rate_limits import RateLimit, RateLimits
from dipeo.testing.simulator.request_log import SimulatedRequest
from dipeo.testing.simulator.routing import Router
from dipeo.testing.simulator.script import ScriptedAnswer
from dipeo.testing.simulator.steps import StepPlayer

_SHUTDOWN_TIMEOUT_S = 0.4
_THREAD_TIMEOUT_S = 5.0


class ProviderSimulator:
    """OpenAI, Anthropic, Gemini, Ollama and the services compatible with OpenAI, on one loopback port.

    Enter it with `async with` to run on the current event loop, or with `with` to run on a thread and loop of its own.
    `seed` decides the answers that are not scripted. `port` 0 means any free one. The log keeps the newest
    `log_capacity` requests. Every other member may be used from any thread.

    `faults` strike calls that nothing is scripted for: the names of rows of the catalogue such as `F12`, or of cases
    such as `F04.inf`, which strike in turn; names with the share of calls that each strikes; or a number, from which
    some of them and their shares are drawn.

    `rate_limits` are enforced for each key and model, on `rate_clock` (default: the machine's own); what is refused
    takes nothing from the script and meets no fault.
    """

    def __init__(
        self,
        *,
        seed: int = 0,
        host: str = "127.0.0.1",
        port: int = 0,
        log_capacity: int = 10_000,
        faults: FaultWish = None,
        rate_limits: Sequence[RateLimit] = (),
        rate_clock: ClockPort | None = None,
    ) -> None:
        if log_capacity < 1:
            raise ValueError(f"log_capacity must be at least 1, got {log_capacity}")
        self._router = Router(seed=seed, log_capacity=log_capacity)
        self._router.dealer = FaultDealer(faults)
        self._router.limits = RateLimits(rate_limits, clock=rate_clock)
        self._host = host
        self._port = port
        self._life: _Life | None = None
        self._thread: _SimulatorThread | None = None
        self._base_urls: Mapping[str, str] = MappingProxyType({})
        self._peak_connections = 0

    def __repr__(self) -> str:
        state = f"port={self.port}" if self._life else "closed"
        return f"<ProviderSimulator {state}, {len(self.requests)} requests, {len(self.unused)} answers unused>"

    @property
    def base_urls(self) -> Mapping[str, str]:
        """Service name -> base URL as that service's SDK takes it; raises RuntimeError before the start."""
        if not self._base_urls:
            raise RuntimeError(
                "the simulator has no address before it is started; enter it with `async with` or `with`"
            )
        return self._base_urls

    @property
    def port(self) -> int:
        """The port it listens on; 0 as long as it is any free one and it does not run yet."""
        return self._port if self._life is None else self._life.port

    def script(self, service: str, *answers: ScriptedAnswer) -> None:
        """Queue answers for the next calls of one service; after them the seeded answers return.

        Only calls for a completion that the vendor would accept use them up. Raises ValueError for an unknown service.
        """
        self._router.script.add(service, *answers)

    def deal_faults(self, faults: FaultWish) -> None:
        """From now on, these faults strike instead of those before; None ends them.

        Raises ValueError for an unknown name or a rate that is no share.
        """
        self._router.dealer = FaultDealer(faults)

    @property
    def fault_rates(self) -> Mapping[str, float]:
        """The share of calls that each case of the catalogue strikes now."""
        return self._router.dealer.rates

    @property
    def counters(self) -> SimulatorCounters:
        """Requests, bytes, connections, keys and faults so far."""
        return self._router.tally.counters(
            open_connections=self.open_connections, peak_connections=self.peak_connections
        )

    @property
    def requests(self) -> tuple[SimulatedRequest, ...]:
        """What was asked, oldest first."""
        return self._router.log.entries

    @property
    def unused(self) -> tuple[ScriptedAnswer, ...]:
        """Scripted answers that nobody asked for."""
        return self._router.script.unused

    @property
    def open_connections(self) -> int:
        """How many client connections are open now."""
        return 0 if self._life is None else self._life.server.open_count

    @property
    def peak_connections(self) -> int:
        """How many client connections were open at once, at most."""
        current = 0 if self._life is None else self._life.server.peak_count
        return max(self._peak_connections, current)

    async def start(self) -> None:
        """Listen, on the current event loop; raises RuntimeError if it runs already."""
        if self._life is not None:
            raise RuntimeError("the simulator runs already")
        life = _Life(self._router)
        await life.start(self._host, self._port)
        self._life = life
        self._base_urls = MappingProxyType(self._router.base_urls(f"http://{self._host}:{life.port}"))

    async def aclose(self) -> None:
        """End every answer, close every connection and stop listening; within about a second, at any time."""
        life, self._life = self._life, None
        if life is not None:
            self._peak_connections = max(self._peak_connections, life.server.peak_count)
            await life.stop()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    def __enter__(self) -> Self:
        thread = _SimulatorThread(self)
        thread.launch()
        self._thread = thread
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        thread, self._thread = self._thread, None
        if thread is not None:
            thread.finish()


class _Life:
    """One run of the server, from listening to closed."""

    def __init__(self, router: Router) -> None:
        self._router = router
        self._closing = asyncio.Event()
        self.server = CountingServer(self._handle)
        self._runner = web.ServerRunner(self.server, shutdown_timeout=_SHUTDOWN_TIMEOUT_S)
        self.port = 0

    async def start(self, host: str, port: int) -> None:
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, host, port).start()
        except OSError:
            await self._runner.cleanup()
            raise
        self.port = int(self._runner.addresses[0][1])

    async def stop(self) -> None:
        self._closing.set()
        await self._runner.cleanup()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        body = await request.content.read()
        plan = self._router.answer(
            request.method, request.path, query=request.query, headers=request.headers, body=body
        )
        player = StepPlayer(request, self._closing, note_sent=self._router.tally.add_sent)
        return await player.play(plan.steps)


class _SimulatorThread:
    """Runs a simulator on a thread and an event loop of its own."""

    def __init__(self, simulator: ProviderSimulator) -> None:
        self._simulator = simulator
        self._is_ready = threading.Event()
        self._error: BaseException | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._thread = threading.Thread(target=self._run, name="provider-simulator", daemon=True)

    def launch(self) -> None:
        """Start and wait until it listens; raises what kept it from listening."""
        self._thread.start()
        if not self._is_ready.wait(_THREAD_TIMEOUT_S):
            raise RuntimeError(f"the simulator's thread did not start within {_THREAD_TIMEOUT_S} s")
        if self._error is not None:
            self._thread.join(_THREAD_TIMEOUT_S)
            raise self._error

    def finish(self) -> None:
        """Close the simulator and wait for the thread."""
        if self._loop is not None and self._stop is not None and self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(_THREAD_TIMEOUT_S)

    def _run(self) -> None:
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        try:
            await self._simulator.start()
        except (OSError, RuntimeError) as error:
            self._error = error
            return
        finally:
            self._is_ready.set()
        await self._stop.wait()
        await self._simulator.aclose()
