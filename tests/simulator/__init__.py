"""Tests of the provider simulator, over real sockets."""
