"""Where things lie in a release folder. The same names are used to write and to check."""

from typing import Final

SIGNATURE: Final = "model.sig"
"""OMS v1.0 over every other file."""

PUBLIC_KEY: Final = "release.pub"
"""A copy of the public key, for convenience; verification never reads it as a key."""

EVIDENCE: Final = "evidence"
ENVELOPE_SUFFIX: Final = ".dsse.json"
RELEASE_NAME: Final = "release"
RELEASE_ENVELOPE: Final = f"{EVIDENCE}/{RELEASE_NAME}{ENVELOPE_SUFFIX}"
INCLUSION: Final = f"{EVIDENCE}/inclusion.json"
CHECKPOINT: Final = f"{EVIDENCE}/checkpoint.txt"


def is_evidence(name: str) -> bool:
    """Whether a relative path lies in evidence/, and so is covered by the signature but is no subject of the release."""
    return name.startswith(f"{EVIDENCE}/")
