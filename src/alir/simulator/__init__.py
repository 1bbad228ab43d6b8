"""WhatsApp for one machine: a look-alike of its HTTP API, and a phone in the browser."""
