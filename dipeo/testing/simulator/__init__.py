"""A loopback server that answers like the real providers: for demos without keys and for tests.

async with ProviderSimulator(seed=7) as simulator:
    simulator.script("openai", Reply("Hello."), Fault(status=429, headers={"retry-after": "2"}))
    client = AsyncOpenAI(base_url=simulator.base_urls["openai"], api_key="sk-any")
"""

from __future__ import annotations

from dipeo.testing.simulator.counters import SimulatorCounters
from dipeo.testing.simulator.rate_limits import RateLimit
from dipeo.testing.simulator.reply_parts import SimulatedCitation, SimulatedProviderTool, SimulatedToolCall
from dipeo.testing.simulator.request_log import SimulatedMessage, SimulatedRequest
from dipeo.testing.simulator.script import Fault, Reply
from dipeo.testing.simulator.server import ProviderSimulator

__all__ = [
    "Fault",
    "ProviderSimulator",
    "RateLimit",
    "Reply",
    "SimulatedCitation",
    "SimulatedMessage",
    "SimulatedProviderTool",
    "SimulatedRequest",
    "SimulatedToolCall",
    "SimulatorCounters",
]
