"""One metric per file; each registers itself with METRICS."""
