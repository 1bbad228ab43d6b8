"""WhatsApp's own dialect, which every provider speaks in part."""
