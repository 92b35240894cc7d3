"""Checks, one defect per file. Each module registers one plugin in `tunesmith.audit.check.CHECKS`."""
