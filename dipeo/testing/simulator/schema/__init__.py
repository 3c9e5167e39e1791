"""Values that satisfy a JSON schema, and the check that they do."""

from __future__ import annotations

from dipeo.testing.simulator.schema.checking import find_violation
from dipeo.testing.simulator.schema.instances import NO_HINTS, Hints, make_instance

__all__ = ["NO_HINTS", "Hints", "find_violation", "make_instance"]
