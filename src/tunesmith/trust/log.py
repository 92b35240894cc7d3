"""Append-only log in a folder: what was ever released under a key, in order, so that nothing can be taken back unseen.

    entries/000000000000.dsse.json   the envelopes, by index
    checkpoint.txt                   size and root over them, signed; written last

An entry beyond the checkpoint's size was never signed for (the run was killed); the next append takes its place. Whoever
holds the key and the folder can still go back to an older copy of both: that shows only against checkpoints kept elsewhere,
such as those in the releases.
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
    """That `leaf` is number `index` of the log when it had `size` entries; `hashes` lead to the root, lowest first."""

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
        """Read a proof back. Raises IntegrityBroken when it is malformed."""
        value = parse_object(data, where=where)
        hashes = require_field(value, "hashes", list, where=where)
        if not all(isinstance(entry, str) for entry in hashes):
            raise IntegrityBroken("a hash of the inclusion proof is not text", where=where)
        return cls(
            index=require_field(value, "index", int, where=where),
            size=require_field(value, "size", int, where=where),
            leaf=decode_base64(require_field(value, "leaf", str, where=where), where=where),
            hashes=tuple(decode_base64(entry, where=where) for entry in hashes),
        )


@dataclass(frozen=True)
class Log:
    """A log folder and the key that signs it. Every read checks the entries against the signed root."""

    folder: Path
    signer: Signer

    def append(self, envelope: bytes) -> int:
        """Add an entry and sign the new checkpoint; its index. An entry that is there already keeps its index.

        Raises StoreLocked while another process appends, Misuse when the log is another key's, IntegrityBroken when
        entries were changed or removed since they were signed.
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
        """The proof that entry `index` is in the log as it is now, and the checkpoint it leads to."""
        note = self._read_note()
        checkpoint = self._open(note)
        leaves = self._leaves(checkpoint)
        if not 0 <= index < len(leaves):
            raise Misuse(f"the log has no entry {index}; it holds {len(leaves)}", where=str(self.folder))
        hashes = tuple(inclusion_proof(index, leaves))
        return InclusionProof(index=index, size=len(leaves), leaf=leaves[index], hashes=hashes), note

    def prove_growth(self, old_size: int) -> tuple[bytes, ...]:
        """The proof that the log when it had `old_size` entries is a prefix of the log as it is now."""
        leaves = self._leaves(self._checkpoint())
        if not 0 < old_size <= len(leaves):
            raise Misuse(f"the log never had {old_size} entries; it holds {len(leaves)}", where=str(self.folder))
        return tuple(consistency_proof(old_size, leaves))

    @property
    def size(self) -> int:
        """How many entries are signed for."""
        return self._checkpoint().size

    @property
    def _note(self) -> Path:
        return self.folder / "checkpoint.txt"

    def _entry(self, index: int) -> Path:
        return self.folder / "entries" / f"{index:012d}.dsse.json"

    def _read_note(self) -> bytes:
        """The checkpoint's bytes; none for a log that does not exist yet."""
        if self._note.is_file():
            return self._note.read_bytes()
        if self._entry(0).exists():
            raise IntegrityBroken(
                "the log has entries but no checkpoint", where=str(self._note), hint="restore the log from a copy"
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
                "the log belongs to another key", where=str(self.folder), hint="sign with that key, or start a new log"
            )
        return open_checkpoint(note, public, where=str(self._note))

    def _leaves(self, checkpoint: Checkpoint) -> list[bytes]:
        """Leaf hashes of the signed entries; a log is never signed on when it contradicts what was signed before."""
        leaves: list[bytes] = []
        for index in range(checkpoint.size):
            path = self._entry(index)
            if not path.is_file():
                raise IntegrityBroken("an entry of the log is missing", where=str(path), hint="restore it from a copy")
            leaves.append(leaf_hash(path.read_bytes()))
        if root_hash(leaves) != checkpoint.root:
            raise IntegrityBroken(
                "the log's entries are not those of its checkpoint",
                where=str(self.folder),
                hint="restore it from a copy",
            )
        return leaves
