"""A program without `async`: the same service behind the synchronous door, shared by several threads.

Runs without a key, on the provider simulator. With your own keys, write `dipeo.connect_sync()` without arguments.
"""

from concurrent.futures import ThreadPoolExecutor

import dipeo
from dipeo.testing import FakeKeys, ProviderSimulator

QUESTIONS = ("What is a comet?", "What is a glacier?", "What is a fossil?")


def main() -> None:
    """Asks three questions from three threads, then streams one answer."""
    with ProviderSimulator() as simulator:
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


if __name__ == "__main__":
    main()
