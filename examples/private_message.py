"""A word in private: who sees what, and what is sent for whom.

Runs without a key, on the provider simulator. With your own keys, write `dipeo.connect(settings)` without `keys=` and
without the simulator's addresses.
"""

import asyncio

import dipeo
from dipeo import Conversation, Message, Person, PersonLLMConfig
from dipeo.testing import FakeKeys, ProviderSimulator


async def main() -> None:
    """Tells one of two spies a code word, asks both, and shows what went over the wire."""
    conversation = Conversation()
    anna = Person(id="anna", llm_config=PersonLLMConfig(model="openai"), conversation=conversation)
    boris = Person(id="boris", llm_config=PersonLLMConfig(model="claude"), conversation=conversation)
    conversation.append(
        Message.private(from_person_id="chief", to_person_id="anna", content="The code word is nightingale.")
    )
    conversation.append(Message(from_person_id="chief", content="Does anybody know the code word?"))

    async with ProviderSimulator() as simulator:
        settings = dipeo.Settings(base_urls=simulator.base_urls)
        async with dipeo.connect(settings, keys=FakeKeys()) as llm:
            for person in (anna, boris):
                seen = person.get_messages()
                completion = await llm.complete_with_person(seen, person.id, person.llm_config)
                person.says(completion.text)
                print(f"{person.id} has seen {len(seen)} messages and says: {completion.text}")
        for request in simulator.requests:
            is_sent = any("nightingale" in message.text for message in request.messages)
            print(f"The request to {request.service} {'holds' if is_sent else 'does not hold'} the code word.")


if __name__ == "__main__":
    asyncio.run(main())
