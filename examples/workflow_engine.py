"""A tiny diagram engine that knows `LLMServicePort` and nothing below it, and the test of a diagram.

The engine holds the diagram; dipeo holds the persons. Because the engine takes the port in its constructor, its test
passes a `ScriptedService` in place of the real service and needs no server.

Runs without a key, on the provider simulator. With your own keys, write `dipeo.connect()` where `simulated()` stands.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from attrs import frozen

import dipeo
from dipeo import Conversation, LLMServicePort, Message, Person, PersonLLMConfig
from dipeo.testing import FakeKeys, ProviderSimulator, ScriptedService


@frozen(kw_only=True)
class Node:
    """A step of the diagram: this person does this task."""

    person: Person
    task: str


class DiagramEngine:
    """Runs the nodes of a diagram one after the other; each person sees what was said before."""

    def __init__(self, llm: LLMServicePort) -> None:
        self._llm = llm

    async def run(self, nodes: Sequence[Node]) -> list[str]:
        """What each node came to."""
        results: list[str] = []
        for node in nodes:
            person = node.person
            person.conversation.append(Message(from_person_id="diagram", to_person_id=person.id, content=node.task))
            completion = await self._llm.complete_with_person(
                person.get_messages(), person.id, person.llm_config, temperature=0.7, max_tokens=4096
            )
            person.says(completion.text)
            results.append(completion.text)
        return results


def diagram() -> list[Node]:
    """A writer drafts, an editor shortens."""
    conversation = Conversation()
    writer = Person(
        id="writer",
        llm_config=PersonLLMConfig(model="openai", system_prompt="You are a writer of notices."),
        conversation=conversation,
    )
    editor = Person(
        id="editor",
        llm_config=PersonLLMConfig(model="claude", system_prompt="You are an editor who cuts."),
        conversation=conversation,
    )
    return [
        Node(person=writer, task="Write a notice about the broken lift."),
        Node(person=editor, task="Cut the notice to half its length."),
    ]


async def test_the_editor_sees_the_draft() -> None:
    """The second node is asked with what the first one said before it."""
    with ScriptedService("The lift is broken; please take the stairs.", "Lift broken: take the stairs.") as llm:
        results = await DiagramEngine(llm).run(diagram())
    assert results[-1] == "Lift broken: take the stairs."
    draft = llm.asked[1].messages[1]
    assert isinstance(draft, Message)
    assert (draft.from_person_id, draft.text) == ("writer", "The lift is broken; please take the stairs.")


@asynccontextmanager
async def simulated() -> AsyncIterator[LLMServicePort]:
    """A service whose answers come from a simulator on this machine."""
    async with ProviderSimulator() as simulator:
        settings = dipeo.Settings(base_urls=simulator.base_urls)
        async with dipeo.connect(settings, keys=FakeKeys()) as llm:
            yield llm


async def main() -> None:
    """Runs the diagram, then its test."""
    nodes = diagram()
    async with simulated() as llm:
        for node, result in zip(nodes, await DiagramEngine(llm).run(nodes), strict=True):
            print(f"{node.person.id}: {result}")
    await test_the_editor_sees_the_draft()
    print("The diagram's test passes.")


if __name__ == "__main__":
    asyncio.run(main())
