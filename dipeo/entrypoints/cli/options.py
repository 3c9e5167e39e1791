"""The options and arguments that several commands have."""

from pathlib import Path
from typing import Annotated, TypeAlias

import typer

from dipeo.entrypoints.cli.service_choice import On
from dipeo.entrypoints.cli.shell_completion import complete_model, complete_person_file

OnOption: TypeAlias = Annotated[
    On,
    typer.Option(
        "--on", help="Who answers: the providers, the embedded simulator, or the providers whose keys are found."
    ),
]
FallbackOption: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--fallback",
        metavar="MODEL",
        help="Who is asked when the model cannot answer; may be repeated, and is asked in that order.",
        autocompletion=complete_model,
    ),
]
ExplainOption: TypeAlias = Annotated[
    bool, typer.Option("--explain", help="Write what would be sent, and send nothing; no key is needed.")
]
JsonOption: TypeAlias = Annotated[bool, typer.Option("--json", help="Write JSON for programs.")]
BaseDirOption: TypeAlias = Annotated[
    Path | None,
    typer.Option("--base-dir", help="Prompt files lie below this directory (default: DIPEO_BASE_DIR, or this one)."),
]
SaveOption: TypeAlias = Annotated[
    Path | None, typer.Option("--save", help="Write the conversation to this file, whatever happens.")
]
LoadOption: TypeAlias = Annotated[Path | None, typer.Option("--load", help="Go on with the conversation in this file.")]
ForceOption: TypeAlias = Annotated[bool, typer.Option("--force", help="Let --save replace a file that exists.")]
PersonFile: TypeAlias = Annotated[
    str,
    typer.Argument(
        metavar="FILE", help="A prompt file, below the base directory.", autocompletion=complete_person_file
    ),
]
