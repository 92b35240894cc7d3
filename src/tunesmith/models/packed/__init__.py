"""The packed forward: rows of a step in one flat sequence without padding, attention per row, loss on supervised tokens."""
