"""Where things lie in a release folder. The same names are used to write and to check."""

from typing import Final

SIGNATURE_FILE: Final = "model.sig"
"""OMS v1.0 over every other file."""

PUBLIC_KEY_FILE: Final = "release.pub"
"""A copy of the public key, for convenience; verification never reads it as a key."""

EVIDENCE_FOLDER: Final = "evidence"
ENVELOPE_SUFFIX: Final = ".dsse.json"
RELEASE_NAME: Final = "release"
RELEASE_ENVELOPE: Final = f"{EVIDENCE_FOLDER}/{RELEASE_NAME}{ENVELOPE_SUFFIX}"
INCLUSION_FILE: Final = f"{EVIDENCE_FOLDER}/inclusion.json"
CHECKPOINT_FILE: Final = f"{EVIDENCE_FOLDER}/checkpoint.txt"


def is_evidence(name: str) -> bool:
    """Whether a relative path lies in evidence/, and so is covered by the signature but is no subject of the release."""
    return name.startswith(f"{EVIDENCE_FOLDER}/")
