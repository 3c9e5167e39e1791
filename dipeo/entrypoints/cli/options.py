"""The options that several commands have."""

from pathlib import Path
from typing import Annotated, TypeAlias

import typer

from dipeo.entrypoints.cli.service_choice import On

OnOption: TypeAlias = Annotated[
    On,
    typer.Option(
        "--on", help="Who answers: the providers, the embedded simulator, or the providers whose keys are found."
    ),
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
