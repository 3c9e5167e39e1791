"""The whole stack in a world of its own: virtual time, seeded order, scripted providers, no sockets."""
