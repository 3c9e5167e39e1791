"""Runs the real command line in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from contextlib import chdir
from pathlib import Path
from typing import Any

import attrs
from typer.testing import CliRunner

from dipeo.entrypoints.cli.main import app

PROMPTS = Path(__file__).parents[2] / "prompts"
CANARY = "sk-canary-4f1d2c9b7e6a5038"
"""The key that no output may show."""

_TIMEOUT_S = 30.0


@attrs.frozen(kw_only=True)
class Finished:
    """How a run ended and what it wrote."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one JSON document on stdout."""
        return json.loads(self.out)

    @property
    def json_lines(self) -> list[Any]:
        """The JSON documents on stdout, one a line."""
        return [json.loads(line) for line in self.out.splitlines()]

    def check_clean(self) -> None:
        """Neither a traceback, nor a complaint of the interpreter, nor a key."""
        for text in (self.out, self.err):
            assert "Traceback" not in text
            assert "Exception ignored" not in text
            assert "Warning:" not in text.replace("Warning: OPENAI_BASE_URL", "")
            assert CANARY not in text


@attrs.frozen(kw_only=True)
class CommandLine:
    """`dipeo` in a working directory of its own, with no variables but those it is given."""

    cwd: Path
    variables: Mapping[str, str] = attrs.field(factory=dict)

    def given(self, **variables: str) -> CommandLine:
        """The same with these variables as well."""
        return attrs.evolve(self, variables={**self.variables, **variables})

    def run(self, *arguments: str, stdin: str | bytes = b"") -> Finished:
        """Runs to the end."""
        process = self.start(*arguments)
        return self.finish(process, stdin.encode() if isinstance(stdin, str) else stdin)

    def run_here(self, *arguments: str, stdin: str = "") -> Finished:
        """Runs in this process, which takes less time; for what needs no terminal, no signal and no pipe."""
        hidden: dict[str, str | None] = dict.fromkeys(os.environ)
        with chdir(self.cwd):
            result = CliRunner().invoke(
                app, arguments, input=stdin, env={**hidden, **self.variables}, catch_exceptions=False, prog_name="dipeo"
            )
        finished = Finished(code=result.exit_code, out=result.stdout, err=result.stderr)
        finished.check_clean()
        return finished

    def start(self, *arguments: str, stdout: int = subprocess.PIPE) -> subprocess.Popen[bytes]:
        """A process that runs."""
        kept = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "SYSTEMROOT")}
        return subprocess.Popen(
            [sys.executable, "-W", "always", "-m", "dipeo", *arguments],
            cwd=self.cwd,
            env={**kept, "LC_ALL": "C.UTF-8", **self.variables},
            stdin=subprocess.PIPE,
            stdout=stdout,
            stderr=subprocess.PIPE,
        )

    @staticmethod
    def finish(process: subprocess.Popen[bytes], stdin: bytes | None = None) -> Finished:
        """Waits for a process, and checks that it left no traceback and no key."""
        try:
            out, err = process.communicate(stdin, timeout=_TIMEOUT_S)
        finally:
            process.kill()
        finished = Finished(code=process.returncode, out=(out or b"").decode(), err=err.decode())
        finished.check_clean()
        return finished
