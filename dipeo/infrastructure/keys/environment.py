"""Keys in environment variables."""

from collections.abc import Mapping
from typing import Final

from dipeo.domain.ports.keys import APIKeyPort
from dipeo.domain.secret import Secret
from dipeo.domain.service import LLMService
from dipeo.infrastructure.keys.variable_name import may_hold_key, variables_for


class EnvironmentKeys(APIKeyPort):
    """The keys in a snapshot of the environment: `EnvironmentKeys(os.environ)` sees no later change.

    A service's usual key is in the variable that its own SDK reads, such as `OPENAI_API_KEY`. The key with the id
    `team-a` is in `DIPEO_KEY_TEAM_A`; an id that ends in `_API_KEY` may also be the name of the variable itself. An
    empty variable counts as none. `file_name` is the file that the variables come from, for messages.
    """

    def __init__(self, environ: Mapping[str, str], *, file_name: str | None = None) -> None:
        self._values: Final = {name: value for name, value in environ.items() if value and may_hold_key(name)}
        self._secrets: Final[dict[str, Secret]] = {}
        self._usual: Final[dict[LLMService, Secret]] = {}
        self._file_name: Final = file_name

    def find(self, service: LLMService, api_key_id: str | None = None) -> Secret | None:
        """The key, or None where no variable holds it. Raises `MalformedAPIKeyError` naming the variable."""
        if api_key_id is None and (usual := self._usual.get(service)) is not None:
            return usual
        for variable in variables_for(service, api_key_id):
            secret = self._secrets.get(variable)
            if secret is None and variable in self._values:
                secret = self._secrets[variable] = Secret(self._values[variable], name=self._in_words(variable))
            if secret is not None:
                if api_key_id is None:
                    # Asked for twice in every call, and these variables do not change.
                    self._usual[service] = secret
                return secret
        return None

    def where(self, service: LLMService, api_key_id: str | None = None) -> str:
        """The variables that such a key is looked for in."""
        return self._in_words(" or ".join(variables_for(service, api_key_id)))

    def _in_words(self, variables: str) -> str:
        words = f"environment variable {variables}"
        return words if self._file_name is None else f"{variables} in {self._file_name}"

    def __repr__(self) -> str:
        place = "" if self._file_name is None else f", file_name={self._file_name!r}"
        return f"EnvironmentKeys(variables={sorted(self._values)}{place})"
