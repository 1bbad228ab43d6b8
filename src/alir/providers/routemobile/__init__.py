"""Route Mobile's API."""
