"""The vendor-neutral half: service, prompt handling, formatting, adapter base, factory, pool."""
