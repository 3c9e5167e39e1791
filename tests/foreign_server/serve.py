"""Runs llama.cpp's server on a free port of this machine until its standard input ends.

Usage: serve.py MODEL SLOTS ADDRESS_FILE. The address is in the file as soon as the server listens.
"""

import os
import sys
from pathlib import Path

import xllamacpp

HTTP_THREADS = 48


def main(model: str, slots: int, address_file: Path) -> None:
    """Serves until whoever started this goes away, even by being killed."""
    parameters = xllamacpp.CommonParams()
    parameters.model.path = model
    parameters.port = 0
    parameters.warmup = False
    parameters.n_parallel = slots
    # An idle connection holds a thread until it is closed; with fewer threads than connections calls wait for seconds.
    parameters.n_threads_http = HTTP_THREADS
    parameters.cpuparams.n_threads = 1
    parameters.cpuparams_batch.n_threads = 1
    server = xllamacpp.Server(parameters)
    draft = address_file.with_suffix(".part")
    draft.write_text(server.listening_address, encoding="utf-8")
    draft.rename(address_file)
    sys.stdin.read()
    # Without winding down: an answer that is still being made must not keep the process.
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]))
