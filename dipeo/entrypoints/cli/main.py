"""The `dipeo` command: puts the commands together."""

import sys
from io import TextIOWrapper
from typing import Annotated, Final

import typer
from typer.core import TyperGroup

from dipeo import __version__
from dipeo.entrypoints.cli.ask import ask
from dipeo.entrypoints.cli.chat import chat
from dipeo.entrypoints.cli.conversation import conversation
from dipeo.entrypoints.cli.converse import converse
from dipeo.entrypoints.cli.doctor import doctor
from dipeo.entrypoints.cli.failures import EXIT_CODES_IN_WORDS
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
    for stream in (sys.stdin, sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            # An answer may hold what the terminal's encoding has not: show it as an escape rather than fail.
            stream.reconfigure(errors="replace" if stream is sys.stdin else "backslashreplace")
    app()


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
