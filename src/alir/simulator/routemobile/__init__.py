"""The dialect of Route Mobile's WhatsApp Business API."""
