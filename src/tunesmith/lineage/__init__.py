"""Lineage: which models and releases were trained on a row, a person's rows, a source or a text; and erasure of rows."""
