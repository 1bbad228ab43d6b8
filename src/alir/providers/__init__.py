"""Other people's APIs: who carries messages to WhatsApp."""
