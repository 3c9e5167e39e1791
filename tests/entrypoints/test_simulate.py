"""`dipeo simulate`."""

from __future__ import annotations

import signal
import socket

from tests.entrypoints.command_line import CommandLine


def test_server_that_others_can_be_pointed_at(offline: CommandLine) -> None:
    """It prints the variables that lead to it, logs what it is asked, and ends with Ctrl-C."""
    process = offline.start("simulate", "--seed", "3", "--log")
    assert process.stdout is not None
    try:
        lines = [process.stdout.readline().decode().strip() for _ in range(10)]
        variables = dict(line.removeprefix("export ").split("=", 1) for line in lines)
        assert variables["DIPEO_OPENAI_BASE_URL"].startswith("http://127.0.0.1:")
        cli = offline.given(OPENAI_API_KEY="sk-simulated", **variables)
        assert cli.run("ask", "Hello", "-m", "gpt-5.4-mini").code == 0
        process.send_signal(signal.SIGINT)
        done = offline.finish(process)
    finally:
        process.kill()
    assert done.code == 0
    assert "1 openai POST /v1/chat/completions 200 gpt-5.4-mini, stream, 1 messages" in done.err


def test_addresses_that_are_refused(offline: CommandLine) -> None:
    """It listens for this machine alone, and says so when the port is taken."""
    assert offline.run("simulate", "--host", "0.0.0.0").code == 2
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = offline.run("simulate", "--port", str(taken.getsockname()[1]))
    assert done.code == 3
    assert "--port 0" in done.err
