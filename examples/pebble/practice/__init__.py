"""Seeded practice text for a small language model: copying, following and answering."""
