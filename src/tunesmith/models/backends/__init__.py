"""Backends: what stands behind `ports.Model`."""
