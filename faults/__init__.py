"""The fault bench: real gateways, broken on purpose, and three books that have to agree."""
