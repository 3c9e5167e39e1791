"""`python -m dipeo` and the `dipeo` script: the command line."""

import sys


def main() -> None:
    """Runs the command line, or says how to install it: its libraries are an extra."""
    try:
        from dipeo.entrypoints.cli.main import main as run
    except ModuleNotFoundError as problem:
        if problem.name not in ("typer", "rich"):
            raise
        sys.exit("The command line is an extra: pip install 'dipeo[cli]'")
    run()


if __name__ == "__main__":
    main()
