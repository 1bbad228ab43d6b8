"""alir: a self-hosted gateway for WhatsApp Flow messages."""

__version__ = "0.1.0"
