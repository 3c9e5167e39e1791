"""What an error comes to at the shell: a message, a hint, and an exit code.

| code | meaning                        | raised as                                                            |
|------|--------------------------------|----------------------------------------------------------------------|
| 0    | it worked                      |                                                                      |
| 1    | any other failure              | every other `DipeoError`; a file or stdout that cannot be written    |
| 2    | bad usage or bad input         | `InvalidRequestError`; the parser's own complaints                   |
| 3    | a setting or a key is not good | `ConfigurationError`, `APIKeyError`                                  |
| 4    | the provider failed            | `ProviderError`, `ModelUnavailableError`                             |
| 5    | a rate limit or quota          | `RateLimitError`                                                     |
| 6    | time ran out                   | `TimeoutError`                                                       |
| 129  | the terminal went away         | SIGHUP                                                               |
| 130  | interrupted                    | `KeyboardInterrupt`                                                  |
| 141  | nobody reads the output        | `BrokenPipeError`; what a program ended by SIGPIPE would leave       |
| 143  | told to end                    | SIGTERM                                                              |
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from enum import IntEnum
from typing import Final

import typer

from dipeo.domain import errors
from dipeo.domain.errors import DipeoError
from dipeo.entrypoints.cli.output import warn, write_json


class ExitCode(IntEnum):
    """What the shell is told."""

    OK = 0
    FAILURE = 1
    BAD_INPUT = 2
    CONFIGURATION = 3
    PROVIDER = 4
    RATE_LIMIT = 5
    TIMEOUT = 6
    TERMINAL_GONE = 129
    INTERRUPTED = 130
    READER_GONE = 141
    ENDED = 143


EXIT_CODES_IN_WORDS: Final = (
    "Exit codes: 0 it worked, 1 other failure, 2 bad usage or input, 3 a setting or key is not good, "
    "4 the provider failed, 5 rate limit or quota, 6 time ran out, 130 interrupted, 141 nobody reads the output, "
    "129 and 143 ended by a signal."
)

# The first class that fits counts: a key error is a provider error too.
_EXIT_CODES: Final[tuple[tuple[type[DipeoError], ExitCode], ...]] = (
    (errors.InvalidRequestError, ExitCode.BAD_INPUT),
    (errors.ConfigurationError, ExitCode.CONFIGURATION),
    (errors.APIKeyError, ExitCode.CONFIGURATION),
    (errors.RateLimitError, ExitCode.RATE_LIMIT),
    (errors.TimeoutError, ExitCode.TIMEOUT),
    (errors.ProviderError, ExitCode.PROVIDER),
    (errors.ModelUnavailableError, ExitCode.PROVIDER),
)

# What the library's own hints say in terms of arguments, said in terms of options.
_HINTS: Final[dict[str | None, str]] = {
    errors.UnknownServiceError.default_suggestion: "Name the service: --service, or service: in the prompt file.",
    errors.DeadlineExceededError.default_suggestion: "Give it more time: DIPEO_LLM_TIMEOUT, or --timeout.",
}

TRY_THE_SIMULATOR: Final = "To try it without a key: --on simulator."


def exit_code_of(error: DipeoError) -> ExitCode:
    """The exit code that this error ends the program with."""
    return next((code for kind, code in _EXIT_CODES if isinstance(error, kind)), ExitCode.FAILURE)


@contextmanager
def failures_reported(*, as_json: bool = False) -> Iterator[None]:
    """Turns what goes wrong inside into a message and an exit code; raises `typer.Exit`."""
    try:
        try:
            yield
        except DipeoError as error:
            report(error, as_json=as_json)
            raise typer.Exit(exit_code_of(error)) from None
        except KeyboardInterrupt:
            warn("Interrupted.")
            raise typer.Exit(ExitCode.INTERRUPTED) from None
    except BrokenPipeError:
        let_go_of_stdout()
        raise typer.Exit(ExitCode.READER_GONE) from None
    except OSError as problem:
        let_go_of_stdout()
        warn(problem.strerror or type(problem).__name__, label="Error")
        raise typer.Exit(ExitCode.FAILURE) from None


def report(error: DipeoError, *, as_json: bool = False) -> None:
    """Says what went wrong: as JSON on stdout, else in words on stderr."""
    if as_json:
        write_json({"error": error.to_dict()})
        return
    facts = [error.provider, error.model, f"status {error.status}" if error.status else None, error.request_id]
    where = ", ".join(fact for fact in facts if fact)
    warn(f"{error.message} ({where})" if where else error.message, label="Error")
    hint = hint_for(error)
    if hint:
        warn(hint, label="Hint")


def hint_for(error: DipeoError) -> str:
    """What the user could do about it; empty where nothing is known."""
    hint = _HINTS.get(error.suggestion, error.suggestion or "")
    if error.retry_after_s is not None:
        hint = f"{hint} The provider asks to wait {error.retry_after_s:g} s.".strip()
    if isinstance(error, errors.MissingAPIKeyError):
        hint = f"{hint} {TRY_THE_SIMULATOR}".strip()
    return hint


def let_go_of_stdout() -> None:
    """Sends what is still to be written to stdout nowhere, when it cannot be written."""
    # Python flushes stdout once more at its end, and would complain then.
    with suppress(OSError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
