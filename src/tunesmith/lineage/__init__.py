"""Lineage: which models and releases saw a row, a person, a source or a text; and erasing a person's rows."""
