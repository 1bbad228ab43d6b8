"""Accepting a message."""
