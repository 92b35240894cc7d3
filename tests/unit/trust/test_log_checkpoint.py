import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.errors import IntegrityBroken
from tunesmith.trust import FileSigner
from tunesmith.trust.log_checkpoint import (
    SIGNATURE_DASH,
    Checkpoint,
    key_hash,
    log_origin,
    open_checkpoint,
    sign_checkpoint,
)
from tunesmith.trust.strict_json import decode_base64, encode_base64

ROOT = bytes(range(32))


@pytest.fixture(scope="module")
def note(signer: FileSigner) -> bytes:
    return sign_checkpoint(11, ROOT, signer)


def signed_text(text: str, signer: FileSigner) -> bytes:
    """A note with a valid signature over any text."""
    origin = log_origin(signer.public)
    signature = key_hash(signer.public) + signer.sign(text.encode())
    return f"{text}\n{SIGNATURE_DASH} {origin} {encode_base64(signature)}\n".encode()


def test_the_note_is_four_lines_and_a_signature(note: bytes, signer: FileSigner) -> None:
    origin = f"tunesmith/log/{signer.public.key_id}"
    lines = note.decode().split("\n")
    assert lines[:4] == [origin, "11", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=", ""]
    dash, name, signature = lines[4].split(" ")
    assert (dash, name, lines[5:]) == ("\u2014", origin, [""])
    assert signer.public.verifies(decode_base64(signature, where="f")[4:], "\n".join([*lines[:3], ""]).encode())


def test_it_opens_and_is_deterministic(note: bytes, signer: FileSigner) -> None:
    assert open_checkpoint(note, signer.public, where="f") == Checkpoint(log_origin(signer.public), 11, ROOT)
    assert sign_checkpoint(11, ROOT, signer) == note


def test_another_key_does_not_open_it(note: bytes, stranger: FileSigner) -> None:
    with pytest.raises(IntegrityBroken, match="not signed by the given key") as caught:
        open_checkpoint(note, stranger.public, where="evidence/checkpoint.txt")
    assert caught.value.where == "evidence/checkpoint.txt"


@given(st.data())
def test_every_byte_counts(note: bytes, signer: FileSigner, data: st.DataObject) -> None:
    changed = bytearray(note)
    changed[data.draw(st.integers(0, len(note) - 1))] ^= data.draw(st.integers(1, 255))
    with pytest.raises(IntegrityBroken):
        open_checkpoint(bytes(changed), signer.public, where="f")


def test_a_witness_signature_is_passed_over(note: bytes, signer: FileSigner, stranger: FileSigner) -> None:
    witness = f"{SIGNATURE_DASH} witness.example {encode_base64(b'abcd' + b'x' * 64)}\n".encode()
    same_name = f"{SIGNATURE_DASH} {log_origin(signer.public)} {encode_base64(b'abcd' + b'x' * 64)}\n".encode()
    assert open_checkpoint(note + witness + same_name, signer.public, where="f").size == 11
    text = note.decode().rpartition("\n\n")[0] + "\n\n"
    with pytest.raises(IntegrityBroken, match="not signed"):
        open_checkpoint(text.encode() + witness, signer.public, where="f")


def test_a_bad_signature_of_the_known_key_spoils_the_note(note: bytes, signer: FileSigner) -> None:
    origin = log_origin(signer.public)
    bad = key_hash(signer.public) + signer.sign(b"something else")
    with pytest.raises(IntegrityBroken, match="not signed"):
        open_checkpoint(note + f"{SIGNATURE_DASH} {origin} {encode_base64(bad)}\n".encode(), signer.public, where="f")


@pytest.mark.parametrize(
    "lines", [["01"], ["-1"], [""], ["1e3"], ["1", "AAAA"], ["1", encode_base64(ROOT), "more"], ["1", ""]]
)
def test_a_signed_text_that_is_no_checkpoint_is_refused(signer: FileSigner, lines: list[str]) -> None:
    body = [*lines, encode_base64(ROOT)] if len(lines) == 1 else lines
    text = "\n".join([log_origin(signer.public), *body, ""])
    with pytest.raises(IntegrityBroken):
        open_checkpoint(signed_text(text, signer), signer.public, where="f")


def test_the_checkpoint_of_another_log_is_refused(signer: FileSigner) -> None:
    with pytest.raises(IntegrityBroken, match="not a checkpoint of this key's log"):
        open_checkpoint(signed_text(f"example.test/log\n1\n{encode_base64(ROOT)}\n", signer), signer.public, where="f")


@pytest.mark.parametrize(
    "note", [b"", b"\n\n", b"text\n\n\xe2\x80\x94 a\n", b"text\n\n- a AAAA\n", b"\xff\n\n", b"a\tb\n\n"]
)
def test_what_is_no_note_is_refused(signer: FileSigner, note: bytes) -> None:
    with pytest.raises(IntegrityBroken):
        open_checkpoint(note, signer.public, where="f")
