"""A server that nobody here wrote, in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import attrs

SLOTS: Final = 4
"""How many calls it works on at once; the others wait."""

_START_TIMEOUT_S: Final = 20.0
_STOP_TIMEOUT_S: Final = 5.0
_POLL_S: Final = 0.02


@attrs.frozen
class ForeignServer:
    """llama.cpp's server; `address` is without a path."""

    address: str

    def busy_slots(self) -> int:
        """How many calls it is working on."""
        with urllib.request.urlopen(f"{self.address}/slots", timeout=5) as reply:
            return sum(slot["is_processing"] for slot in json.load(reply))


@contextmanager
def running_server(model: Path, directory: Path) -> Iterator[ForeignServer]:
    """Runs the server with this model; its log and its address are kept in the directory."""
    address_file, log = directory / "address", directory / "server.log"
    command = [sys.executable, str(Path(__file__).with_name("serve.py")), str(model), str(SLOTS), str(address_file)]
    with (
        log.open("wb") as output,
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=output, stderr=output) as process,
    ):
        try:
            yield ForeignServer(_address(process, address_file, log))
        finally:
            _stop(process)


def _address(process: subprocess.Popen[bytes], address_file: Path, log: Path) -> str:
    deadline = time.monotonic() + _START_TIMEOUT_S
    while not address_file.exists():
        if process.poll() is not None or time.monotonic() > deadline:
            said = log.read_text(encoding="utf-8", errors="replace")[-2000:]
            raise RuntimeError(f"the server did not start (exit code {process.returncode}): {said}")
        time.sleep(_POLL_S)
    return address_file.read_text(encoding="utf-8")


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Asks it to end by closing its input, and ends it if it does not."""
    if process.stdin is not None:
        process.stdin.close()
    try:
        process.wait(_STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
