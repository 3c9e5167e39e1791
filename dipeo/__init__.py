"""dipeo completes conversations for personas on any large language model.

Names are resolved on first use, so that `import dipeo` loads no SDK, no HTTP package and no container.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dipeo import errors as errors
    from dipeo.application.dialogue import Dialogue as Dialogue
    from dipeo.config import Settings as Settings
    from dipeo.domain.attempt import Attempt as Attempt
    from dipeo.domain.completion import ChatMessage as ChatMessage
    from dipeo.domain.completion import Completion as Completion
    from dipeo.domain.completion import FinishReason as FinishReason
    from dipeo.domain.completion import Role as Role
    from dipeo.domain.conversation import Conversation as Conversation
    from dipeo.domain.message import Message as Message
    from dipeo.domain.model import ModelTarget as ModelTarget
    from dipeo.domain.person import Person as Person
    from dipeo.domain.person import PersonLLMConfig as PersonLLMConfig
    from dipeo.domain.ports.llm import ChatModelPort as ChatModelPort
    from dipeo.domain.ports.llm import LLMServicePort as LLMServicePort
    from dipeo.domain.sampling import Sampling as Sampling
    from dipeo.domain.service import LLMService as LLMService
    from dipeo.domain.stream import CompletionStream as CompletionStream
    from dipeo.domain.stream import TextDelta as TextDelta
    from dipeo.domain.usage import Usage as Usage
    from dipeo.facade import connect as connect
    from dipeo.facade import connect_sync as connect_sync
    from dipeo.facade import load_person as load_person
    from dipeo.infrastructure.documents.conversation_file import load_conversation as load_conversation
    from dipeo.infrastructure.documents.conversation_file import save_conversation as save_conversation

__version__ = "0.1.0"

_HOMES = {
    "Attempt": "dipeo.domain.attempt",
    "ChatMessage": "dipeo.domain.completion",
    "ChatModelPort": "dipeo.domain.ports.llm",
    "Completion": "dipeo.domain.completion",
    "CompletionStream": "dipeo.domain.stream",
    "Conversation": "dipeo.domain.conversation",
    "Dialogue": "dipeo.application.dialogue",
    "FinishReason": "dipeo.domain.completion",
    "LLMService": "dipeo.domain.service",
    "LLMServicePort": "dipeo.domain.ports.llm",
    "Message": "dipeo.domain.message",
    "ModelTarget": "dipeo.domain.model",
    "Person": "dipeo.domain.person",
    "PersonLLMConfig": "dipeo.domain.person",
    "Role": "dipeo.domain.completion",
    "Sampling": "dipeo.domain.sampling",
    "Settings": "dipeo.config",
    "TextDelta": "dipeo.domain.stream",
    "Usage": "dipeo.domain.usage",
    "connect": "dipeo.facade",
    "connect_sync": "dipeo.facade",
    "load_conversation": "dipeo.infrastructure.documents.conversation_file",
    "load_person": "dipeo.facade",
    "save_conversation": "dipeo.infrastructure.documents.conversation_file",
}

__all__ = ["errors", *_HOMES]  # noqa: PLE0604  # built from the table, so that the two cannot differ


def __getattr__(name: str) -> object:
    if name == "errors":
        return import_module("dipeo.errors")
    if name not in _HOMES:
        raise AttributeError(f"module 'dipeo' has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
