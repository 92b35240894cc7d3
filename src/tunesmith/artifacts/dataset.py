"""Dataset: rows in order, identified by a digest over their canonical bytes, whatever container holds them."""

from tunesmith.artifacts.base import Artifact


class Dataset(Artifact):
    """Rows of one split. `rows_digest` is SHA-256 over the canonical bytes of their examples in order, each with a newline.

    `container` is the digest of the stored object (gzip JSON lines of Row) that holds them.
    """

    name: str
    rows: int
    rows_digest: str
    container: str
    licenses: tuple[str, ...] = ()
