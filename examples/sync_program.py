"""A program without `async`: the same service behind the synchronous door, shared by several threads, and with tools.

Runs without a key, on the provider simulator. With your own keys, write `dipeo.connect_sync()` without arguments.
"""

from concurrent.futures import ThreadPoolExecutor

import dipeo
from dipeo.testing import FakeKeys, ProviderSimulator, Reply
from dipeo.testing.simulator import SimulatedToolCall
from dipeo.tools import SyncToolLoop, ToolEnded

QUESTIONS = ("What is a comet?", "What is a glacier?", "What is a fossil?")


def next_return(comet: str) -> int:
    """The year in which a comet comes back."""
    return {"Halley": 2061}[comet]


def main() -> None:
    """Asks three questions from three threads, then streams one answer, and one that needs a tool."""
    with ProviderSimulator() as simulator:
        simulator.script(
            "anthropic",
            Reply(tool_calls=[SimulatedToolCall("next_return", {"comet": "Halley"})]),
            Reply("It comes back in 2061."),
        )
        settings = dipeo.Settings(base_urls=simulator.base_urls)
        with dipeo.connect_sync(settings, keys=FakeKeys()) as llm:

            def ask(question: str) -> str:
                return llm.complete([{"role": "user", "content": question}], "gemini").text

            with ThreadPoolExecutor() as threads:
                for question, answer in zip(QUESTIONS, threads.map(ask, QUESTIONS), strict=True):
                    print(f"{question} {answer}")

            with llm.stream([{"role": "user", "content": "And what is a meteor?"}], "gemini") as stream:
                for text in stream.text():
                    print(text, end="")
            print(f"\n-- {stream.completion.usage.total_tokens} tokens")

            asked = [{"role": "user", "content": "When does Halley's comet come back?"}]
            with SyncToolLoop(llm, [next_return]).stream(asked, "claude") as run:
                for event in run:
                    if isinstance(event, ToolEnded):
                        print(f"{event.call.name}: {event.call.result.content}")
            print(run.outcome.text)


if __name__ == "__main__":
    main()
