"""Rows: containers and formats they are read from, sources, chat layout and loss mask, patterns of personal data and secrets."""
