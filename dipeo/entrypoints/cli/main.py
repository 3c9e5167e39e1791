"""The `dipeo` command: puts the commands together."""

import signal
import sys
from contextlib import suppress
from io import StringIO, TextIOWrapper
from typing import Annotated, Final, NoReturn

import typer
from typer.core import TyperGroup

from dipeo import __version__
from dipeo.entrypoints.cli.ask import ask
from dipeo.entrypoints.cli.chat import chat
from dipeo.entrypoints.cli.conversation import conversation
from dipeo.entrypoints.cli.converse import converse
from dipeo.entrypoints.cli.doctor import doctor
from dipeo.entrypoints.cli.failures import EXIT_CODES_IN_WORDS, ExitCode, let_go_of_stdout
from dipeo.entrypoints.cli.models import models
from dipeo.entrypoints.cli.persons import persons
from dipeo.entrypoints.cli.simulate import simulate

# To talk, to look at what was and will be said, to find out what works.
_ORDER: Final = ("ask", "chat", "converse", "persons", "conversation", "models", "doctor", "simulate")


class _InOrder(TyperGroup):
    """Lists the commands as they are read, where typer would put those that have commands of their own last."""

    def list_commands(self, ctx: object) -> list[str]:
        return sorted(self.commands, key=_ORDER.index)


# A traceback that shows local variables could show a key; ours never does.
app = typer.Typer(
    name="dipeo",
    cls=_InOrder,
    help="Completes conversations for personas on any large language model.",
    epilog=EXIT_CODES_IN_WORDS,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["--help", "-h"]},
)

for command in (ask, chat, converse, models, doctor, simulate):
    app.command()(command)
for group in (persons, conversation):
    app.add_typer(group)


def main() -> None:
    """Runs the command that the arguments name."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_DFL:  # whoever ignores one, as nohup does, goes on doing so
            signal.signal(number, _end)
    if sys.stderr is None:
        sys.stderr = StringIO()  # nobody reads it
    if sys.stdout is None:
        sys.exit("Error: stdout is closed: there is nowhere to write to.")
    for stream in (sys.stdin, sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            # An answer may hold what the terminal's encoding has not: show it as an escape rather than fail. What is
            # typed or piped in and is no text becomes half characters, which are refused where they would be sent.
            stream.reconfigure(errors="surrogateescape" if stream is sys.stdin else "backslashreplace")
    try:
        app()
    except OSError as problem:
        # Help and version are written by the parser, outside of what commands catch for themselves.
        let_go_of_stdout()
        with suppress(OSError):
            sys.stderr.write(f"Error: {problem.strerror or type(problem).__name__}\n")
        sys.exit(ExitCode.FAILURE)


def _end(number: int, _frame: object) -> NoReturn:
    """Ends the program in good order, so that what was said is saved; the same signal again ends it at once."""
    signal.signal(number, signal.SIG_DFL)
    raise SystemExit(128 + number)


def _show_version(is_asked: bool) -> None:  # noqa: FBT001  # typer calls it like this
    if is_asked:
        typer.echo(f"dipeo {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    *,
    _version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and end.")
    ] = False,
) -> None:
    pass
