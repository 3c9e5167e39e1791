"""Keys in a TOML file."""

import logging
import os
import re
import tomllib
from collections.abc import Mapping
from typing import Final

from attrs import field, frozen

from dipeo.domain.errors import ConfigurationError, UnknownServiceError
from dipeo.domain.ports.keys import APIKeyPort
from dipeo.domain.secret import Secret
from dipeo.domain.service import LLMService
from dipeo.infrastructure.keys.watched_file import FileStamp, stamp_of

SETTING: Final = "DIPEO_KEY_FILE"

_logger = logging.getLogger("dipeo.keys")
_LINE: Final = re.compile(r"at line (\d+)")
_READABLE_BY_OTHERS: Final = 0o044


@frozen(kw_only=True)
class _Content:
    stamp: FileStamp
    keys: Mapping[str, str] = field(repr=False)
    usual_ids: Mapping[LLMService, str]
    secrets: dict[str, Secret] = field(factory=dict)


class FileKeys(APIKeyPort):
    """The keys in a TOML file, read again when the file changes.

    The table `[keys]` gives a key to each id; the table `[services]`, which may be left out, gives the id of its usual
    key to a service:

        [keys]
        team-a = "sk-..."

        [services]
        openai = "team-a"

    A file that others than its owner may read is warned of once. Raises `ConfigurationError` for a file that is
    missing, cannot be read, or holds something else.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path: Final = os.path.abspath(os.fspath(path))
        self._file_name: Final = os.path.basename(self._path)
        self._has_warned = False
        self._content = self._read(self._status())

    def find(self, service: LLMService, api_key_id: str | None = None) -> Secret | None:
        """The key, or None where the file does not hold it.

        Raises `MalformedAPIKeyError` naming the entry, and `ConfigurationError` as the constructor does.
        """
        content = self._current()
        key_id = content.usual_ids.get(service) if api_key_id is None else api_key_id
        if key_id is None or not content.keys.get(key_id):
            return None
        secret = content.secrets.get(key_id)
        if secret is None:
            secret = content.secrets[key_id] = Secret(content.keys[key_id], name=self._entry(key_id, "keys"))
        return secret

    def where(self, service: LLMService, api_key_id: str | None = None) -> str:
        """The entry that such a key is looked for in, and the name of the file."""
        key_id = self._content.usual_ids.get(service) if api_key_id is None else api_key_id
        return self._entry(service, "services") if key_id is None else self._entry(key_id, "keys")

    def _entry(self, name: str, table: str) -> str:
        return f"entry {str(name)!r} in [{table}] of {self._file_name}"

    def _current(self) -> _Content:
        status = self._status()
        content = self._content
        if stamp_of(status) != content.stamp:
            content = self._content = self._read(status)
        return content

    def _status(self) -> os.stat_result:
        try:
            return os.stat(self._path)
        except OSError as problem:
            raise self._unusable(problem.strerror or "it cannot be read") from None

    def _read(self, status: os.stat_result) -> _Content:
        stamp = stamp_of(status)
        if stamp is None:
            raise self._unusable("it is no regular file")
        self._warn_of_readers(status.st_mode)
        tables = self._tables()
        keys = self._entries(tables, "keys")
        return _Content(stamp=stamp, keys=keys, usual_ids=self._usual_ids(self._entries(tables, "services"), keys))

    def _tables(self) -> dict[str, object]:
        tables: dict[str, object] | None = None
        reason = "it is not UTF-8"
        try:
            with open(self._path, "rb") as file:
                tables = tomllib.load(file)
        except OSError as problem:
            reason = problem.strerror or "it cannot be read"
        except tomllib.TOMLDecodeError as problem:
            line = _LINE.search(str(problem))
            reason = f"it is not valid TOML ({f'line {line.group(1)}' if line else 'at its end'})"
        except UnicodeDecodeError:
            pass
        except (ValueError, RecursionError):
            reason = "it holds a number too long, or lists too deep, to be read"
        # Raised out here, for the parser's own errors may hold the content.
        if tables is None:
            raise self._unusable(reason)
        if not tables.keys() <= {"keys", "services"}:
            # Not named: in a file that was filled in the wrong way round it may be a key.
            raise self._unusable("it holds something besides the tables [keys] and [services]")
        return tables

    def _entries(self, tables: Mapping[str, object], table: str) -> dict[str, str]:
        entries = tables.get(table, {})
        if not isinstance(entries, dict):
            raise self._unusable(f"{table!r} is not a table")
        if not all(isinstance(value, str) for value in entries.values()):
            raise self._unusable(f"[{table}] holds something that is not text in quotation marks")
        return entries

    def _usual_ids(self, services: Mapping[str, str], keys: Mapping[str, str]) -> dict[LLMService, str]:
        usual_ids: dict[LLMService, str] = {}
        for name, key_id in services.items():
            try:
                service = LLMService.from_name(name)
            except UnknownServiceError as problem:
                raise self._unusable("[services] holds an unknown service", problem.suggestion) from None
            # The id is not shown: somebody may have put the key itself in its place.
            if key_id not in keys:
                raise self._unusable(f"[services] gives {str(service)!r} an id that [keys] does not hold")
            if service in usual_ids:
                raise self._unusable(f"[services] holds {str(service)!r} twice")
            usual_ids[service] = key_id
        return usual_ids

    def _warn_of_readers(self, mode: int) -> None:
        if os.name == "posix" and mode & _READABLE_BY_OTHERS and not self._has_warned:
            self._has_warned = True
            _logger.warning("The key file %r may be read by others than its owner (chmod 600 ends that).", self._path)

    def _unusable(self, reason: str, suggestion: str | None = None) -> ConfigurationError:
        return ConfigurationError(
            f"The key file {self._path!r}, which {SETTING} names, cannot be used: {reason}.",
            field=SETTING,
            suggestion=suggestion,
        )

    def __repr__(self) -> str:
        return f"FileKeys({self._path!r}, ids={sorted(self._content.keys)})"
