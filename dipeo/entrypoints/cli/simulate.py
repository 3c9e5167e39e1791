"""`dipeo simulate`: the provider simulator as a server of its own."""

import asyncio
import signal
from contextlib import suppress
from ipaddress import AddressValueError, IPv4Address
from typing import TYPE_CHECKING, Annotated, Final

import typer

from dipeo.domain.errors import ConfigurationError, ValidationError
from dipeo.entrypoints.cli.failures import failures_reported
from dipeo.entrypoints.cli.output import warn, write

if TYPE_CHECKING:
    from dipeo.testing import ProviderSimulator, SimulatedRequest

_LOG_INTERVAL_S: Final = 0.1
_LOOPBACK: Final = "127.0.0.1"


def simulate(
    *,
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="0: any free one.")] = 0,
    seed: Annotated[int, typer.Option("--seed", help="Other answers for another seed.")] = 0,
    host: Annotated[str, typer.Option("--host", help="An address of this machine's own (127.0.0.0/8).")] = _LOOPBACK,
    faults: Annotated[
        str,
        typer.Option(
            "--faults", metavar="SEED", help="Let calls fail as a number decides, or by names such as F12,F04.inf."
        ),
    ] = "",
    is_logging: Annotated[bool, typer.Option("--log", help="Write a line to stderr for each request.")] = False,
) -> None:
    """Answer like the providers, on this machine alone, until Ctrl-C.

    Prints the variables that point dipeo at it.
    """
    with failures_reported():
        address = _loopback(host)
        asyncio.run(_serve(address, port=port, seed=seed, faults=faults, is_logging=is_logging))


async def _serve(host: str, *, port: int, seed: int, faults: str, is_logging: bool) -> None:
    has_ended = asyncio.Event()
    for kind in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(kind, has_ended.set)
    simulator = _simulator(host, port=port, seed=seed, faults=faults)
    try:
        await simulator.start()
    except OSError as problem:
        raise ConfigurationError(
            f"Nothing can listen on {host}:{port}: {problem.strerror}.", field="--port", suggestion="Try --port 0."
        ) from None
    try:
        _introduce(simulator)
        await _until(has_ended, simulator, is_logging=is_logging)
    finally:
        await simulator.aclose()


def _simulator(host: str, *, port: int, seed: int, faults: str) -> "ProviderSimulator":
    from dipeo.testing import ProviderSimulator

    names = [name.strip() for name in faults.split(",") if name.strip()]
    wish = int(faults) if faults.strip().isdecimal() else names
    try:
        return ProviderSimulator(seed=seed, host=host, port=port, faults=wish)
    except ValueError as problem:
        message = str(problem)
    raise ValidationError(
        f"{message[:1].upper()}{message[1:]}.",
        field="--faults",
        suggestion="The names are in docs/reference/faults.md; a number chooses some of them.",
    )


def _introduce(simulator: "ProviderSimulator") -> None:
    lines = [f"export DIPEO_{service.upper()}_BASE_URL={url}" for service, url in simulator.base_urls.items()]
    write("\n".join(lines) + "\n")
    for name, rate in simulator.fault_rates.items():
        warn(f"{name} strikes {rate:.0%} of the calls that it can.")
    warn("Paste these lines where dipeo runs, and give it any keys, such as OPENAI_API_KEY=sk-simulated; Ctrl-C ends.")


async def _until(has_ended: asyncio.Event, simulator: "ProviderSimulator", *, is_logging: bool) -> None:
    if not is_logging:
        await has_ended.wait()
        return
    last = 0
    is_over = False
    while not is_over:
        # Looked at before the requests, so that none of the last ones is left out.
        is_over = has_ended.is_set()
        for request in simulator.requests:
            if request.number > last:
                last = request.number
                warn(_in_words(request))
        with suppress(TimeoutError):
            async with asyncio.timeout(_LOG_INTERVAL_S):
                await has_ended.wait()


def _in_words(request: "SimulatedRequest") -> str:
    kind = "stream" if request.is_stream else "whole"
    what = f"{request.model}, {kind}, {len(request.messages)} messages" if request.messages else ""
    return f"{request.number} {request.service} {request.method} {request.path} {request.status} {what}".rstrip()


def _loopback(host: str) -> str:
    """The address, when it is one that no other machine can reach."""
    if host == "localhost":
        return _LOOPBACK
    try:
        is_loopback = IPv4Address(host).is_loopback
    except AddressValueError:
        is_loopback = False
    if not is_loopback:
        raise ValidationError(
            f"{host!r} is not an address of this machine alone.",
            field="--host",
            suggestion=f"Use {_LOOPBACK}: the simulator checks no keys and must not be open to others.",
        )
    return host
