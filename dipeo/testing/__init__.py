"""What tests put in dipeo's place: scripted models, in-memory ports, a manual clock, the provider simulator."""

from dipeo.testing.fake_catalog import FakeCatalog, FakeEmbeddings, FakeModelLists, FakePromptSizes
from dipeo.testing.fake_ports import FakeAliases, FakeKeys, FakeLedger, FakePrompts, FakeTokenCounter
from dipeo.testing.manual_clock import ManualClock
from dipeo.testing.scripted import ScriptedModel, ScriptedService
from dipeo.testing.simulator import (
    Fault,
    ProviderSimulator,
    RateLimit,
    Reply,
    SimulatedCitation,
    SimulatedMessage,
    SimulatedProviderTool,
    SimulatedRequest,
    SimulatedToolCall,
)

__all__ = [
    "FakeAliases",
    "FakeCatalog",
    "FakeEmbeddings",
    "FakeKeys",
    "FakeLedger",
    "FakeModelLists",
    "FakePromptSizes",
    "FakePrompts",
    "FakeTokenCounter",
    "Fault",
    "ManualClock",
    "ProviderSimulator",
    "RateLimit",
    "Reply",
    "ScriptedModel",
    "ScriptedService",
    "SimulatedCitation",
    "SimulatedMessage",
    "SimulatedProviderTool",
    "SimulatedRequest",
    "SimulatedToolCall",
]
