"""Comparing texts: normalising, n-grams, near-duplicates, style."""
