"""Serve a verified release behind an OpenAI-compatible API."""
