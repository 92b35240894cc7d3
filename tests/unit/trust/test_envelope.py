import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.errors import IntegrityBroken
from tunesmith.trust import FileSigner, make_statement
from tunesmith.trust.envelope import open_envelope, pre_authentication_encoding, sign_statement, verified_payload
from tunesmith.trust.strict_json import decode_base64, encode_base64

STATEMENT = make_statement({"model": "ab" * 32}, predicate_type="https://example.test/x", predicate={"rows": 17})


@pytest.fixture(scope="module")
def envelope(signer: FileSigner) -> bytes:
    return sign_statement(STATEMENT, signer)


def changed(envelope: bytes, **fields: Any) -> bytes:
    return json.dumps(json.loads(envelope) | fields).encode()


def test_pae_is_the_example_of_the_specification() -> None:
    """secure-systems-lab/dsse, protocol.md v1.0, "Test Vectors"."""
    assert pre_authentication_encoding(b"hello world", payload_type="http://example.com/HelloWorld") == (
        b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    )


def test_pae_counts_bytes_not_characters() -> None:
    assert pre_authentication_encoding("é".encode(), payload_type="ü") == "DSSEv1 2 ü 2 é".encode()


def test_what_was_signed_comes_out(envelope: bytes, signer: FileSigner) -> None:
    assert open_envelope(envelope, signer.public, where="f") == STATEMENT
    assert sign_statement(STATEMENT, signer) == envelope
    assert json.loads(envelope)["signatures"][0]["keyid"] == signer.public.key_id


def test_another_key_does_not_open_it(envelope: bytes, stranger: FileSigner) -> None:
    with pytest.raises(IntegrityBroken, match="not signed by the given key") as caught:
        open_envelope(envelope, stranger.public, where="evidence/x.dsse.json")
    assert caught.value.where == "evidence/x.dsse.json"


@given(st.data())
def test_any_changed_payload_or_signature_byte_is_refused(
    envelope: bytes, signer: FileSigner, data: st.DataObject
) -> None:
    value = json.loads(envelope)
    part = data.draw(st.sampled_from(["payload", "sig"]))
    text = value["payload"] if part == "payload" else value["signatures"][0]["sig"]
    raw = bytearray(decode_base64(text, where="f"))
    raw[data.draw(st.integers(0, len(raw) - 1))] ^= data.draw(st.integers(1, 255))
    if part == "payload":
        value["payload"] = encode_base64(bytes(raw))
    else:
        value["signatures"][0]["sig"] = encode_base64(bytes(raw))
    with pytest.raises(IntegrityBroken, match="not signed by the given key"):
        open_envelope(json.dumps(value).encode(), signer.public, where="f")


@pytest.mark.parametrize("kind", ["application/json", "application/vnd.in-toto+json ", "", None])
def test_another_payload_type_is_refused(envelope: bytes, signer: FileSigner, kind: str | None) -> None:
    with pytest.raises(IntegrityBroken, match="payload type"):
        open_envelope(changed(envelope, payloadType=kind), signer.public, where="f")


def test_a_payload_type_signed_for_something_else_is_refused(signer: FileSigner) -> None:
    payload = b"{}"
    signature = {
        "keyid": "",
        "sig": encode_base64(signer.sign(pre_authentication_encoding(payload, payload_type="application/json"))),
    }
    value = {
        "payload": encode_base64(payload),
        "payloadType": "application/vnd.in-toto+json",
        "signatures": [signature],
    }
    with pytest.raises(IntegrityBroken, match="not signed"):
        verified_payload(value, signer.public, where="f")


def test_nothing_is_parsed_before_it_is_verified(signer: FileSigner, stranger: FileSigner) -> None:
    payload = b"this is not JSON"
    value = {
        "payload": encode_base64(payload),
        "payloadType": "application/vnd.in-toto+json",
        "signatures": [{"keyid": "", "sig": encode_base64(stranger.sign(pre_authentication_encoding(payload)))}],
    }
    with pytest.raises(IntegrityBroken, match="not signed"):
        open_envelope(json.dumps(value).encode(), signer.public, where="f")
    with pytest.raises(IntegrityBroken, match="invalid JSON"):
        open_envelope(json.dumps(value).encode(), stranger.public, where="f")


def test_duplicate_key_ids_are_refused(envelope: bytes, signer: FileSigner) -> None:
    signatures = json.loads(envelope)["signatures"] * 2
    with pytest.raises(IntegrityBroken, match="same key id"):
        open_envelope(changed(envelope, signatures=signatures), signer.public, where="f")


def test_a_second_signer_does_no_harm_and_no_good(envelope: bytes, signer: FileSigner, stranger: FileSigner) -> None:
    payload = decode_base64(json.loads(envelope)["payload"], where="f")
    other = {"keyid": stranger.public.key_id, "sig": encode_base64(stranger.sign(pre_authentication_encoding(payload)))}
    both = changed(envelope, signatures=[other, *json.loads(envelope)["signatures"]])
    assert open_envelope(both, signer.public, where="f") == STATEMENT
    with pytest.raises(IntegrityBroken, match="not signed"):
        open_envelope(changed(envelope, signatures=[other]), signer.public, where="f")


@pytest.mark.parametrize("signatures", [[], None, [{}], ["x"], [{"keyid": 1, "sig": ""}], [{"keyid": "", "sig": "!"}]])
def test_malformed_signatures_are_refused(envelope: bytes, signer: FileSigner, signatures: object) -> None:
    with pytest.raises(IntegrityBroken):
        open_envelope(changed(envelope, signatures=signatures), signer.public, where="f")


def test_what_no_verifier_would_accept_is_not_signed(signer: FileSigner) -> None:
    with pytest.raises(IntegrityBroken, match="Statement v1"):
        sign_statement({"rows": 17}, signer)
