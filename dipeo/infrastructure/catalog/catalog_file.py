"""The user's own facts and prices, in a YAML file."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from dipeo.domain.catalog import ModelFacts
from dipeo.domain.errors import ConfigurationError
from dipeo.domain.service import LLMService
from dipeo.infrastructure.catalog.fact_reading import FactError, by_service, read_facts

SETTING: Final = "DIPEO_CATALOG_FILE"
MAX_BYTES: Final = 4 * 1024 * 1024


def read_catalog_file(path: Path) -> Mapping[LLMService, Mapping[str, ModelFacts]]:
    """The facts in the file, by service and name.

    Raises `ConfigurationError` for a file that cannot be read or whose words are not understood, naming the key.
    """
    import yaml  # slow to load, and needed by those alone who have such a file

    from dipeo.infrastructure.prompts.strict_yaml import StrictLoader

    document: object = None
    problem = ""
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
        if len(raw) > MAX_BYTES:
            problem = f"is larger than {MAX_BYTES:,} bytes"
        else:
            document = yaml.load(raw.decode(), Loader=StrictLoader)  # noqa: S506  # stricter than the safe loader
    except FileNotFoundError:
        problem = "does not exist"
    except OSError as error:
        problem = f"cannot be read ({error.strerror})"
    except UnicodeDecodeError:
        problem = "is no UTF-8 text"
    except yaml.YAMLError as error:
        mark = error.problem_mark if isinstance(error, yaml.MarkedYAMLError) else None
        problem = "is no YAML that is taken here" + ("" if mark is None else f" (line {mark.line + 1})")
    if problem:
        raise ConfigurationError(f"The catalogue file {str(path)!r} {problem}.", field=SETTING)
    if document is None:
        return {}
    try:
        return by_service(read_facts(document, source=str(path)))
    except FactError as error:
        raise ConfigurationError(
            f"In the catalogue file {str(path)!r}, {error.message}", field=error.field, suggestion=error.suggestion
        ) from None
