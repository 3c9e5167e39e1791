"""Keys in a `.env` file."""

import os
from typing import Final

from attrs import frozen

from dipeo.domain.errors import ConfigurationError
from dipeo.domain.ports.keys import APIKeyPort
from dipeo.domain.secret import Secret
from dipeo.domain.service import LLMService
from dipeo.infrastructure.keys.environment import EnvironmentKeys
from dipeo.infrastructure.keys.watched_file import FileStamp, stamp_of


@frozen
class _Snapshot:
    stamp: FileStamp | None
    keys: EnvironmentKeys


class DotenvKeys(APIKeyPort):
    """The keys in a `.env` file, under the same names as in the environment; read again when the file changes.

    Values are taken as they stand: `${OTHER}` is not filled in. A file that is missing, or is no regular file, holds
    no keys.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path: Final = os.path.abspath(os.fspath(path))
        self._file_name: Final = os.path.basename(self._path)
        self._snapshot = _Snapshot(None, EnvironmentKeys({}, file_name=self._file_name))

    def find(self, service: LLMService, api_key_id: str | None = None) -> Secret | None:
        """The key, or None where the file does not hold it.

        Raises `MalformedAPIKeyError` naming the variable, and `ConfigurationError` for a file that cannot be read.
        """
        return self._current().find(service, api_key_id)

    def where(self, service: LLMService, api_key_id: str | None = None) -> str:
        """The variables that such a key is looked for in, and the name of the file."""
        return self._snapshot.keys.where(service, api_key_id)

    def _current(self) -> EnvironmentKeys:
        stamp = self._stamp()
        snapshot = self._snapshot
        if stamp != snapshot.stamp:
            values = {} if stamp is None else self._read()
            snapshot = self._snapshot = _Snapshot(stamp, EnvironmentKeys(values, file_name=self._file_name))
        return snapshot.keys

    def _stamp(self) -> FileStamp | None:
        try:
            return stamp_of(os.stat(self._path))
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as problem:
            raise self._unreadable(problem.strerror or "unknown error") from None

    def _read(self) -> dict[str, str]:
        from dotenv import dotenv_values

        values = None
        reason = "it is not UTF-8"
        try:
            values = dotenv_values(self._path, interpolate=False, encoding="utf-8")
        except OSError as problem:
            reason = problem.strerror or "unknown error"
        except UnicodeDecodeError:
            pass
        # Raised out here, for the decoder's own error holds the content.
        if values is None:
            raise self._unreadable(reason)
        return {name: value for name, value in values.items() if value}

    def _unreadable(self, reason: str) -> ConfigurationError:
        return ConfigurationError(f"The file {self._path!r} cannot be read: {reason}.", field=self._file_name)

    def __repr__(self) -> str:
        return f"DotenvKeys({self._path!r})"
