"""Code version: a digest of the installed package's files, and the versions of the libraries that affect results."""

import hashlib
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

LIBRARIES = ("torch", "transformers", "tokenizers", "peft", "daft", "numpy", "scikit-learn", "sacrebleu")
CODE_SUFFIXES = (".py", ".yaml", ".j2", ".jinja", ".css")


@cache
def code_version() -> str:
    """`sha256:<64 hex>` over path and content of every source file of the package, in path order."""
    root = Path(__file__).parents[1]
    digest = hashlib.sha256()
    for path in sorted(path for path in root.rglob("*") if path.suffix in CODE_SUFFIXES):
        digest.update(path.relative_to(root).as_posix().encode() + b"\0")
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return f"sha256:{digest.hexdigest()}"


@cache
def _library_version(library: str) -> str:
    try:
        return version(library)
    except PackageNotFoundError:
        return "absent"


def library_versions() -> dict[str, str]:
    """Installed versions; `absent` for a library that is not installed."""
    return {library: _library_version(library) for library in LIBRARIES}
