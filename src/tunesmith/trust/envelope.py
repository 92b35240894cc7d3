"""DSSE: signed envelope around a payload. The signature is verified before the payload is parsed.

Source: secure-systems-lab/dsse, protocol.md and envelope.md (v1.0).
"""

from typing import Any, Final

from tunesmith.artifacts import canonical_bytes
from tunesmith.errors import IntegrityBroken
from tunesmith.ports import Signer
from tunesmith.trust.keys import PublicKey
from tunesmith.trust.statement import Statement, parse_statement, statement_bytes
from tunesmith.trust.strict_json import decode_base64, encode_base64, parse_object, require_field

PAYLOAD_TYPE: Final = "application/vnd.in-toto+json"


def pre_authentication_encoding(payload: bytes, *, payload_type: str = PAYLOAD_TYPE) -> bytes:
    """Pre-authentication encoding (PAE): the signed bytes, which include the payload type."""
    kind = payload_type.encode("utf-8")
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)


def make_envelope(payload: bytes, signer: Signer, *, keyid: str) -> dict[str, Any]:
    """The envelope as a JSON object with one signature."""
    signature = {"keyid": keyid, "sig": encode_base64(signer.sign(pre_authentication_encoding(payload)))}
    return {"payload": encode_base64(payload), "payloadType": PAYLOAD_TYPE, "signatures": [signature]}


def sign_statement(statement: Statement, signer: Signer) -> bytes:
    """Canonical bytes of a signed envelope. The key id is the SHA-256 of the key in DER form.

    Raises IntegrityBroken when the dict is not a Statement v1, which no verifier would accept.
    """
    public = PublicKey.from_pem(signer.public_pem())
    payload = statement_bytes(statement)
    parse_statement(payload, where="statement to sign")
    return canonical_bytes(make_envelope(payload, signer, keyid=public.key_id))


def open_envelope(data: bytes, public: PublicKey, *, where: str) -> Statement:
    """Verify an envelope and return its statement. Raises IntegrityBroken unless `public` signed it."""
    payload = verified_payload(parse_object(data, where=where), public, where=where)
    return parse_statement(payload, where=where)


def verified_payload(envelope: dict[str, Any], public: PublicKey, *, where: str) -> bytes:
    """Payload bytes of an envelope signed by `public`. Key ids are unsigned hints and are not used to select a signature.

    Raises IntegrityBroken on another payload type, a duplicate key id, or when no signature verifies.
    """
    if envelope.get("payloadType") != PAYLOAD_TYPE:
        raise IntegrityBroken(f"payload type is not {PAYLOAD_TYPE}", where=where)
    payload = decode_base64(require_field(envelope, "payload", str, where=where), where=where)
    signatures = _signatures(envelope, where)
    if not any(public.verifies(signature, pre_authentication_encoding(payload)) for signature in signatures.values()):
        raise IntegrityBroken(
            "not signed by the given key",
            where=where,
            hint="check that --key is the public key of the publisher",
        )
    return payload


def _signatures(envelope: dict[str, Any], where: str) -> dict[str, bytes]:
    signatures: dict[str, bytes] = {}
    for entry in require_field(envelope, "signatures", list, where=where):
        keyid = require_field({"keyid": "", **entry} if isinstance(entry, dict) else entry, "keyid", str, where=where)
        if keyid in signatures:
            raise IntegrityBroken("two signatures have the same key id", where=where)
        signatures[keyid] = decode_base64(require_field(entry, "sig", str, where=where), where=where)
    return signatures
