"""What a provider's own tools found: made-up pages at addresses that nobody owns."""

from __future__ import annotations

import random
import re

import attrs

from dipeo.testing.simulator.reply_parts import ProviderToolKind, SimulatedCitation, SimulatedProviderTool
from dipeo.testing.simulator.script import Reply

_SITES = (("almanac", "The Simulated Almanac"), ("herald", "Example Herald"), ("library", "Library of Examples"))
_MAX_QUERY = 80
_KINDS: dict[str, ProviderToolKind] = {
    "web_search": "web_search",
    "web_fetch": "web_fetch",
    "code_execution": "code_execution",
}


def run_provider_tools(reply: Reply, kinds: tuple[str, ...], question: str, chance: random.Random) -> Reply:
    """The reply with what each known tool did before it, and the citations of what a search found."""
    query = " ".join(question.split())[:_MAX_QUERY] or "news"
    text, runs, citations = reply.text, [], []
    for kind in dict.fromkeys(_KINDS[name] for name in kinds if name in _KINDS):
        if kind == "code_execution":
            runs.append(SimulatedProviderTool(kind=kind, query="print(6 * 7)", output="42\n"))
            text += " The code printed 42."
            continue
        pages = tuple(_page(site, title, query) for site, title in chance.sample(_SITES, k=2))
        runs.append(SimulatedProviderTool(kind=kind, query=query, pages=pages[: 1 if kind == "web_fetch" else 2]))
        found = f"According to {pages[0].title}, it depends on the season."
        text = f"{text} {found}" if text else found
        citations.append(attrs.evolve(pages[0], start=len(text) - len(found), end=len(text)))
    return attrs.evolve(reply, text=text, provider_tools=tuple(runs), citations=tuple(citations))


def _page(site: str, title: str, query: str) -> SimulatedCitation:
    slug = re.sub(r"[^a-z0-9]+", "-", query.lower()).strip("-")[:40] or "page"
    return SimulatedCitation(
        url=f"https://{site}.example.com/{slug}", title=title, cited_text="It depends on the season, says everybody."
    )
