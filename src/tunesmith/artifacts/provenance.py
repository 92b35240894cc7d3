"""Provenance: the inputs, settings and code that a report was made with."""

from tunesmith.artifacts.base import Artifact


class Provenance(Artifact):
    """Digests of the inputs by name, digest of the settings, code version, library versions and seed."""

    stage: str
    inputs: dict[str, str]
    settings: str
    code: str
    versions: dict[str, str]
    seed: int
