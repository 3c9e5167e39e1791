"""Models around a model: one concern each."""
