"""One attack for each seed: an answer gone wrong, read, and what was wrong with how it ended."""

import random
import time
import traceback
from typing import Final

from attrs import frozen

from tests.hostile.mutations import mutated, mutated_refusal
from tests.hostile.reading import Reader
from tests.hostile.specimens import JSON, OWN_ANSWERS, OWN_STREAMS
from tests.hostile.verdict_of_reading import faults_of

MAX_READING_S: Final = 5.0
"""No answer of this size takes longer to read, on the slowest of machines."""

_SPECIMENS: Final = (*OWN_STREAMS, *OWN_ANSWERS)
_REFUSALS: Final = 0.25


@frozen
class Attack:
    """How the answer of one seed was read; `ending` is the error's class or `Completion`."""

    seed: int
    specimen: str
    ending: str
    faults: tuple[str, ...]

    def __str__(self) -> str:
        return f"seed {self.seed} ({self.specimen}): {'; '.join(self.faults)}"


async def attack(reader: Reader, seed: int) -> Attack:
    """Reads the answer that this seed stands for."""
    chance = random.Random(f"hostile {seed}")
    specimen = chance.choice(_SPECIMENS)
    received = (mutated_refusal if chance.random() < _REFUSALS else mutated)(specimen, chance)
    began_s = time.monotonic()
    try:
        read = await (reader.complete if specimen.media_type == JSON else reader.stream)(specimen, received)
        faults = faults_of(read)
        ending = type(read.error).__name__ if read.error else "Completion"
    except Exception as foreign:  # noqa: BLE001  # whatever it is, it is what is looked for
        place = traceback.extract_tb(foreign.__traceback__)[-1]
        faults = [f"{type(foreign).__name__} came out of {place.filename}:{place.lineno}"]
        ending = "foreign"
    took_s = time.monotonic() - began_s
    if took_s > MAX_READING_S:
        faults.append(f"it took {took_s:.1f} s")
    return Attack(seed, specimen.name, ending, tuple(faults))
