"""What the tables of alir.toml are made of: kinds of values, and secrets.

Below `settings`, because the tables of senders belong to their providers, who read no settings.
"""
