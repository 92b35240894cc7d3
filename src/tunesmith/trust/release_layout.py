"""File names in a release folder, used for both writing and verification."""

from typing import Final

SIGNATURE_FILE: Final = "model.sig"
"""OMS v1.0 signature over all other files."""

PUBLIC_KEY_FILE: Final = "release.pub"
"""Copy of the public key for convenience. Verification never uses it."""

EVIDENCE_FOLDER: Final = "evidence"
ENVELOPE_SUFFIX: Final = ".dsse.json"
RELEASE_NAME: Final = "release"
RELEASE_ENVELOPE: Final = f"{EVIDENCE_FOLDER}/{RELEASE_NAME}{ENVELOPE_SUFFIX}"
INCLUSION_FILE: Final = f"{EVIDENCE_FOLDER}/inclusion.json"
CHECKPOINT_FILE: Final = f"{EVIDENCE_FOLDER}/checkpoint.txt"


def is_evidence(name: str) -> bool:
    """Whether a path is in evidence/, whose files are signed but are not subjects of the release statement."""
    return name.startswith(f"{EVIDENCE_FOLDER}/")
