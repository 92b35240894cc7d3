"""Dataset: rows in order, known by the digest over their canonical bytes; the container is never hashed."""

from tunesmith.artifacts.base import Artifact


class Dataset(Artifact):
    """`rows_digest` is SHA-256 over the canonical bytes of the rows' examples in order, each followed by a newline.

    `container` is the digest of the stored object (gzip JSON lines of Row) that holds them.
    """

    name: str
    rows: int
    rows_digest: str
    container: str
    licenses: tuple[str, ...] = ()
