"""Versions, settings, and variables that others would obey."""

import platform
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Final

from attrs import frozen

from dipeo import __version__
from dipeo.infrastructure.environment_warnings import foreign_variables

if TYPE_CHECKING:
    from dipeo.config import Settings

_SDKS: Final = ("openai", "anthropic", "google-genai", "ollama")


@frozen(kw_only=True)
class EnvironmentReport:
    """What dipeo runs on and how it is set up; `sdks` maps the installed SDKs to their versions."""

    versions: Mapping[str, str]
    sdks: Mapping[str, str]
    settings: Mapping[str, object]
    warnings: tuple[str, ...]

    def lines(self) -> list[str]:
        """The report for people."""
        return [
            _listed(self.versions),
            f"Official SDKs: {_listed(self.sdks) or 'none'} (dipeo needs none of them)",
            "Settings: base directory {base_dir}, timeout {timeout_s:g} s, {max_attempts} attempts".format_map(
                self.settings
            ),
        ]

    def to_dict(self) -> dict[str, object]:
        """The report as JSON values."""
        return {
            "versions": dict(self.versions),
            "sdks": dict(self.sdks),
            "settings": dict(self.settings),
            "warnings": list(self.warnings),
        }


def examine_environment(settings: "Settings") -> EnvironmentReport:
    """The report on these settings; imports nothing that it reports on."""
    warnings = [str(variable) for variable in foreign_variables()]
    if not settings.base_dir.is_dir():
        warnings.append(f"The base directory {str(settings.base_dir)!r} is no directory: no prompt file will be found.")
    versions = {"dipeo": __version__, "Python": platform.python_version(), "aiohttp": _version("aiohttp") or "missing"}
    return EnvironmentReport(
        versions=versions,
        sdks={name: found for name in _SDKS if (found := _version(name)) is not None},
        settings={
            "base_dir": str(settings.base_dir.absolute()),
            "base_dir_exists": settings.base_dir.is_dir(),
            "timeout_s": settings.timeout_s,
            "max_attempts": settings.max_attempts,
            "retries_unknown_outcome": settings.retries_unknown_outcome,
            "key_file": str(settings.key_file) if settings.key_file else None,
        },
        warnings=tuple(warnings),
    )


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _listed(versions: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {number}" for name, number in versions.items())
