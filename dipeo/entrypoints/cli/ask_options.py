"""The options of `dipeo ask` alone; `ask.py` reads better with them here."""

from typing import Annotated, TypeAlias

import typer

from dipeo.domain.sampling import ReasoningEffort
from dipeo.domain.tools import ProviderTool
from dipeo.entrypoints.cli.shell_completion import complete_model, complete_person_file, complete_service

Model: TypeAlias = Annotated[
    str,
    typer.Option(
        "--model", "-m", envvar="DIPEO_MODEL", help="A model's name, or an alias.", autocompletion=complete_model
    ),
]
Service: TypeAlias = Annotated[
    str | None,
    typer.Option("--service", help="Who runs the model (default: by its name).", autocompletion=complete_service),
]
System: TypeAlias = Annotated[str | None, typer.Option("--system", help="Instructions to the model.")]
SystemFile: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--system-file",
        metavar="FILE",
        help="A prompt file with instructions, below the base directory.",
        autocompletion=complete_person_file,
    ),
]
Temperature: TypeAlias = Annotated[float | None, typer.Option("--temperature", help="0 to 2.")]
TopP: TypeAlias = Annotated[float | None, typer.Option("--top-p", help="0 to 1.")]
MaxTokens: TypeAlias = Annotated[int | None, typer.Option("--max-tokens", help="The longest answer, in tokens.")]
Stop: TypeAlias = Annotated[list[str] | None, typer.Option("--stop", help="Ends the answer; may be repeated.")]
Seed: TypeAlias = Annotated[int | None, typer.Option("--seed", help="For answers that can be had again.")]
Effort: TypeAlias = Annotated[
    str | None, typer.Option("--reasoning-effort", help=f"How hard to think: {', '.join(ReasoningEffort)}.")
]
Timeout: TypeAlias = Annotated[
    float | None, typer.Option("--timeout", metavar="SECONDS", help="Bounds the whole call, retries included.")
]
KeyId: TypeAlias = Annotated[
    str | None, typer.Option("--api-key-id", help="Which API key (default: the service's usual one).")
]
BaseUrl: TypeAlias = Annotated[str | None, typer.Option("--base-url", help="Another address of the service.")]
Strict: TypeAlias = Annotated[bool, typer.Option("--strict", help="Fail rather than adapt what the model lacks.")]
ShowReasoning: TypeAlias = Annotated[
    bool, typer.Option("--show-reasoning", help="Write what the model lets see of its thinking to stderr.")
]
NoStream: TypeAlias = Annotated[bool, typer.Option("--no-stream", help="Write the answer when it is complete.")]
Schema: TypeAlias = Annotated[
    str | None,
    typer.Option("--schema", metavar="FILE", help="A JSON schema: the answer is JSON that fits it, or an error."),
]
Files: TypeAlias = Annotated[
    list[str] | None,
    typer.Option("--image", "--file", metavar="FILE", help="A picture, PDF or sound to look at; may be repeated."),
]
Tools: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--tool", metavar="MODULE:FUNCTION", help="A Python function that the model may call; may be repeated."
    ),
]
ProviderTools: TypeAlias = Annotated[
    list[str] | None,
    typer.Option("--provider-tool", help=f"A tool of the provider's own: {', '.join(ProviderTool)}."),
]
