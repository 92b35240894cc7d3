"""Watchers: one file per thing that can go wrong while the loop runs, each a class that is found by its id."""
