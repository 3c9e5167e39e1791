"""Where keys come from, in which order."""

from dipeo.config import Settings
from dipeo.domain.ports.keys import APIKeyPort
from dipeo.infrastructure.keys import ChainedKeys, DotenvKeys, EnvironmentKeys, FileKeys


def build_keys(settings: Settings) -> APIKeyPort:
    """The key file where one is configured, then the environment, then the `.env` file."""
    sources: list[APIKeyPort] = []
    if settings.key_file is not None:
        sources.append(FileKeys(settings.key_file))
    sources.append(EnvironmentKeys(settings.environ))
    if settings.dotenv_file is not None:
        sources.append(DotenvKeys(settings.dotenv_file))
    return ChainedKeys(*sources)
