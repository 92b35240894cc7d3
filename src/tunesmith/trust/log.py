"""Append-only transparency log in a folder: every release signed with a key, in order, so that removals are detected.

    entries/000000000000.dsse.json   envelopes, by index
    checkpoint.txt                   signed size and Merkle root; written last

An entry beyond the size in the checkpoint was never committed (the run was killed) and is overwritten by the next append. The
owner of key and folder can still roll both back to an older copy. Only checkpoints kept elsewhere, such as those inside
releases, reveal that.
"""

from dataclasses import dataclass
from pathlib import Path

from tunesmith.artifacts import canonical_bytes
from tunesmith.errors import IntegrityBroken, Misuse
from tunesmith.ports import Signer
from tunesmith.store import RunLock
from tunesmith.store.objects import write_atomic
from tunesmith.trust.keys import PublicKey
from tunesmith.trust.log_checkpoint import Checkpoint, log_origin, open_checkpoint, sign_checkpoint
from tunesmith.trust.merkle import consistency_proof, inclusion_proof, leaf_hash, root_hash
from tunesmith.trust.strict_json import decode_base64, encode_base64, parse_object, require_field


@dataclass(frozen=True)
class InclusionProof:
    """Proof that `leaf` is entry `index` of the log with `size` entries. `hashes` lead to the root, lowest first."""

    index: int
    size: int
    leaf: bytes
    hashes: tuple[bytes, ...]

    def to_bytes(self) -> bytes:
        """Canonical JSON {index, size, leaf, hashes}, hashes in base64."""
        hashes = [encode_base64(value) for value in self.hashes]
        return canonical_bytes(
            {"index": self.index, "size": self.size, "leaf": encode_base64(self.leaf), "hashes": hashes}
        )

    @classmethod
    def from_bytes(cls, data: bytes, *, where: str) -> "InclusionProof":
        """Parse a proof. Raises IntegrityBroken when it is malformed."""
        value = parse_object(data, where=where)
        hashes = require_field(value, "hashes", list, where=where)
        if not all(isinstance(entry, str) for entry in hashes):
            raise IntegrityBroken("a hash of the inclusion proof is not a string", where=where)
        return cls(
            index=require_field(value, "index", int, where=where),
            size=require_field(value, "size", int, where=where),
            leaf=decode_base64(require_field(value, "leaf", str, where=where), where=where),
            hashes=tuple(decode_base64(entry, where=where) for entry in hashes),
        )


@dataclass(frozen=True)
class Log:
    """A log folder and its signing key. Every read verifies the entries against the signed root."""

    folder: Path
    signer: Signer

    def append(self, envelope: bytes) -> int:
        """Append an entry, sign the new checkpoint and return the entry's index. An existing entry keeps its index.

        Raises StoreLocked while another process appends, Misuse when the log belongs to another key, IntegrityBroken when
        entries were changed or removed after signing.
        """
        with RunLock(self.folder, "that appends to the log"):
            if not self._read_note():
                write_atomic(self._note, sign_checkpoint(0, root_hash([]), self.signer))
            leaves = self._leaves(self._checkpoint())
            leaf = leaf_hash(envelope)
            if leaf in leaves:
                return leaves.index(leaf)
            write_atomic(self._entry(len(leaves)), envelope)
            leaves.append(leaf)
            write_atomic(self._note, sign_checkpoint(len(leaves), root_hash(leaves), self.signer))
            return len(leaves) - 1

    def prove(self, index: int) -> tuple[InclusionProof, bytes]:
        """Inclusion proof of entry `index` in the current log, and the checkpoint it leads to."""
        note = self._read_note()
        checkpoint = self._open(note)
        leaves = self._leaves(checkpoint)
        if not 0 <= index < len(leaves):
            raise Misuse(f"the log has no entry {index}; it has {len(leaves)} entries", where=str(self.folder))
        hashes = tuple(inclusion_proof(index, leaves))
        return InclusionProof(index=index, size=len(leaves), leaf=leaves[index], hashes=hashes), note

    def prove_growth(self, old_size: int) -> tuple[bytes, ...]:
        """Consistency proof that the log with `old_size` entries is a prefix of the current log."""
        leaves = self._leaves(self._checkpoint())
        if not 0 < old_size <= len(leaves):
            raise Misuse(
                f"no consistency proof from size {old_size}; the log has {len(leaves)} entries", where=str(self.folder)
            )
        return tuple(consistency_proof(old_size, leaves))

    @property
    def size(self) -> int:
        """Number of signed entries."""
        return self._checkpoint().size

    @property
    def _note(self) -> Path:
        return self.folder / "checkpoint.txt"

    def _entry(self, index: int) -> Path:
        return self.folder / "entries" / f"{index:012d}.dsse.json"

    def _read_note(self) -> bytes:
        """Bytes of the checkpoint; empty for a log that does not exist yet."""
        if self._note.is_file():
            return self._note.read_bytes()
        if self._entry(0).exists():
            raise IntegrityBroken(
                "the log has entries but no checkpoint", where=str(self._note), hint="restore the log from a backup"
            )
        return b""

    def _checkpoint(self) -> Checkpoint:
        return self._open(self._read_note())

    def _open(self, note: bytes) -> Checkpoint:
        public = PublicKey.from_pem(self.signer.public_pem())
        origin = log_origin(public)
        if not note:
            return Checkpoint(origin, 0, root_hash([]))
        if not note.startswith(f"{origin}\n".encode()):
            raise Misuse(
                "the log belongs to another key",
                where=str(self.folder),
                hint="sign with that key, or use another log folder",
            )
        return open_checkpoint(note, public, where=str(self._note))

    def _leaves(self, checkpoint: Checkpoint) -> list[bytes]:
        """Leaf hashes of the signed entries. Raises IntegrityBroken when they do not match the signed root."""
        leaves: list[bytes] = []
        for index in range(checkpoint.size):
            path = self._entry(index)
            if not path.is_file():
                raise IntegrityBroken("a log entry is missing", where=str(path), hint="restore the log from a backup")
            leaves.append(leaf_hash(path.read_bytes()))
        if root_hash(leaves) != checkpoint.root:
            raise IntegrityBroken(
                "the log entries do not match the checkpoint",
                where=str(self.folder),
                hint="restore the log from a backup",
            )
        return leaves
