"""A prompt as it stands in a file, and how its variables are filled in."""

import re
from collections.abc import Mapping

from attrs import field, frozen
from attrs.converters import optional

from dipeo.domain.checks import check_text
from dipeo.domain.errors import ValidationError
from dipeo.domain.memory import MemoryPolicy
from dipeo.domain.model import ModelTarget, as_fallbacks
from dipeo.domain.sampling import NO_SAMPLING, Sampling
from dipeo.domain.service import LLMService

_NAME = r"[A-Za-z_][A-Za-z0-9_]*"
_VARIABLE = re.compile(rf"\{{({_NAME})\}}")


def _as_defaults(variables: Mapping[str, str | None]) -> Mapping[str, str | None]:
    return dict(variables)


@frozen(kw_only=True)
class PromptFile:
    """The text of a prompt file and what its front matter says.

    `variables` are the names that `{name}` in the text may stand for, each with its default, or None where a value
    must be given. `fallbacks` None leaves it to the alias who is asked instead.
    """

    text: str
    name: str | None = None
    description: str | None = None
    model: str | None = None
    service: LLMService | None = None
    memory: MemoryPolicy | None = None
    sampling: Sampling = NO_SAMPLING
    variables: Mapping[str, str | None] = field(factory=dict, converter=_as_defaults)
    fallbacks: tuple[ModelTarget | str, ...] | None = field(default=None, converter=optional(as_fallbacks))

    def render(self, values: Mapping[str, str]) -> str:
        """The text with its variables filled in. Raises `ValidationError` for a variable without a value."""
        return fill_in(self.text, {**self.variables, **values})


def is_variable_name(name: str) -> bool:
    """Whether `{name}` can stand for something: ASCII letters, digits and underscores, no digit first."""
    return re.fullmatch(_NAME, name) is not None


def fill_in(text: str, values: Mapping[str, str | None]) -> str:
    """`text` with each `{name}` that `values` knows replaced, in one pass.

    Only plain names in braces count: no attributes, indices, conversions or format specifications, and what was filled
    in is not looked at again. Braces around anything else stand as they are, so that a prompt may show JSON. Raises
    `ValidationError` for a name whose value is None.
    """

    def value_of(match: re.Match[str]) -> str:
        name = match.group(1)
        if name not in values:
            return match.group(0)
        value = values[name]
        if value is None:
            raise ValidationError(
                f"The prompt needs a value for {name!r}.",
                field=f"prompt_variables.{name}",
                suggestion="Pass it in prompt_variables, or give it a default in the prompt's front matter.",
            )
        return check_text(f"prompt_variables.{name}", value)

    return _VARIABLE.sub(value_of, text) if values else text
