"""The dialect of Meta's Graph API, as the Cloud API of WhatsApp speaks it."""
