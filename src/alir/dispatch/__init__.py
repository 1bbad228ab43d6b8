"""Handing a message to a provider: once."""
