"""Where keys come from, in which order."""

from dipeo.config import Settings
from dipeo.domain.ports.keys import APIKeyPort
from dipeo.infrastructure.keys.chained import ChainedKeys
from dipeo.infrastructure.keys.environment import EnvironmentKeys


def build_keys(settings: Settings) -> APIKeyPort:
    """The key file where one is configured, then the environment, then the `.env` file."""
    sources: list[APIKeyPort] = []
    if settings.key_file is not None:
        from dipeo.infrastructure.keys.key_file import FileKeys

        sources.append(FileKeys(settings.key_file))
    sources.append(EnvironmentKeys(settings.environ))
    if settings.dotenv_file is not None:
        from dipeo.infrastructure.keys.dotenv_file import DotenvKeys

        sources.append(DotenvKeys(settings.dotenv_file))
    return ChainedKeys(*sources) if len(sources) > 1 else sources[0]
