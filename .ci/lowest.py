"""Prints the lowest version of each package that pyproject.toml allows, one requirement a line."""

import re
import tomllib
from pathlib import Path

# Those of development are nobody else's, and Google's former client goes together with few others.
LEFT_OUT = {"dev", "docs", "sdks", "google-legacy"}

project = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))["project"]
extras = [names for extra, names in project["optional-dependencies"].items() if extra not in LEFT_OUT]
for requirement in [*project["dependencies"], *(each for names in extras for each in names)]:
    print(re.sub(r">=([^,]+),.*", r"==\1", requirement))  # noqa: T201  # what it is for
