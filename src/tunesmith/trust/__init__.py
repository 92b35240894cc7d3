"""Trust: keys, signed statements, model signature, transparency log, and offline verification of a release folder."""

from tunesmith.trust.keys import FileSigner, PublicKey, key_id, load_public_pem, load_signer, make_key
from tunesmith.trust.sign_release import sign_release
from tunesmith.trust.statement import Statement, make_statement
from tunesmith.trust.verify import VerifiedRelease, VerifiedStatement, verify_release

__all__ = [
    "FileSigner",
    "PublicKey",
    "Statement",
    "VerifiedRelease",
    "VerifiedStatement",
    "key_id",
    "load_public_pem",
    "load_signer",
    "make_key",
    "make_statement",
    "sign_release",
    "verify_release",
]
