"""Binds ports to what implements them; the one place that names concrete classes."""
