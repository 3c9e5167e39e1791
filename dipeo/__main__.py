"""`python -m dipeo` is the command line."""

from dipeo.entrypoints.cli.main import main

if __name__ == "__main__":
    main()
