"""Where API keys come from: environment variables, `.env` files, key files, or several of these in turn."""

from dipeo.infrastructure.keys.chained import ChainedKeys
from dipeo.infrastructure.keys.dotenv_file import DotenvKeys
from dipeo.infrastructure.keys.environment import EnvironmentKeys
from dipeo.infrastructure.keys.key_file import FileKeys

__all__ = ["ChainedKeys", "DotenvKeys", "EnvironmentKeys", "FileKeys"]
