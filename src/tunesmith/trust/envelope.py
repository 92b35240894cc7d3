"""DSSE: a signed envelope around a payload. The signature is checked before anything inside is parsed.

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
    """Pre-authentication encoding: the bytes that are signed, so that the type cannot be swapped."""
    kind = payload_type.encode("utf-8")
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)


def make_envelope(payload: bytes, signer: Signer, *, keyid: str) -> dict[str, Any]:
    """The envelope as a JSON object with one signature."""
    signature = {"keyid": keyid, "sig": encode_base64(signer.sign(pre_authentication_encoding(payload)))}
    return {"payload": encode_base64(payload), "payloadType": PAYLOAD_TYPE, "signatures": [signature]}


def sign_statement(statement: Statement, signer: Signer) -> bytes:
    """The canonical bytes of a signed envelope; the key id is the SHA-256 of the key's DER form.

    Raises IntegrityBroken when the dict is not a Statement v1: no verifier would accept it.
    """
    public = PublicKey.from_pem(signer.public_pem())
    payload = statement_bytes(statement)
    parse_statement(payload, where="statement to sign")
    return canonical_bytes(make_envelope(payload, signer, keyid=public.key_id))


def open_envelope(data: bytes, public: PublicKey, *, where: str) -> Statement:
    """The statement inside, if `public` signed it. Raises IntegrityBroken; signatures of other keys do not matter."""
    payload = verified_payload(parse_object(data, where=where), public, where=where)
    return parse_statement(payload, where=where)


def verified_payload(envelope: dict[str, Any], public: PublicKey, *, where: str) -> bytes:
    """The payload bytes of an envelope that `public` signed; a key id is a hint that nobody signed, so it decides nothing.

    Raises IntegrityBroken on another payload type, on a key id given twice, and when no signature verifies.
    """
    if envelope.get("payloadType") != PAYLOAD_TYPE:
        raise IntegrityBroken(f"the payload type is not {PAYLOAD_TYPE}", where=where)
    payload = decode_base64(require_field(envelope, "payload", str, where=where), where=where)
    signatures = _signatures(envelope, where)
    if not any(public.verifies(signature, pre_authentication_encoding(payload)) for signature in signatures.values()):
        raise IntegrityBroken(
            "not signed by the given key",
            where=where,
            hint="check that this is the public key of whoever made the release",
        )
    return payload


def _signatures(envelope: dict[str, Any], where: str) -> dict[str, bytes]:
    signatures: dict[str, bytes] = {}
    for entry in require_field(envelope, "signatures", list, where=where):
        keyid = require_field({"keyid": "", **entry} if isinstance(entry, dict) else entry, "keyid", str, where=where)
        if keyid in signatures:
            raise IntegrityBroken("two signatures carry the same key id", where=where)
        signatures[keyid] = decode_base64(require_field(entry, "sig", str, where=where), where=where)
    return signatures
