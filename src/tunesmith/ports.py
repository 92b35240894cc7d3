"""Protocols for external dependencies. Tests use the fakes that ship with the project."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Protocol, TypeVar, runtime_checkable

T = TypeVar("T")


class Clock(Protocol):
    """Source of time."""

    def now(self) -> datetime:
        """Current time, timezone-aware, UTC."""
        ...

    def seconds(self) -> float:
        """Monotonic clock in seconds, for durations."""
        ...


class ObjectStore(Protocol):
    """Content-addressed storage of bytes under their SHA-256."""

    def put(self, data: bytes) -> str:
        """Store `data` and return its digest as `sha256:<64 hex>`."""
        ...

    def get(self, digest: str) -> bytes:
        """Bytes of a digest. Raises IntegrityBroken when they are missing or altered."""
        ...

    def has(self, digest: str) -> bool: ...


class Signer(Protocol):
    """Signs with a private key without exposing it."""

    def sign(self, message: bytes) -> bytes:
        """ECDSA over SHA-256 with a deterministic nonce (RFC 6979), DER encoded."""
        ...

    def public_pem(self) -> bytes:
        """SubjectPublicKeyInfo in PEM."""
        ...


@runtime_checkable
class MeasuredItems(Protocol):
    """Iterable of unknown length whose progress is known as a share, e.g. rows of files, measured by bytes read."""

    def share(self) -> float | None:
        """Share of the work done, from 0 to 1, or None if unknown."""
        ...


class Progress(Protocol):
    """Progress reporting. Silent in library use, a live bar in the CLI."""

    def track(self, items: Iterable[T], *, label: str, total: int | None = None) -> Iterator[T]:
        """Yield the items while showing how many are done and the time left.

        For MeasuredItems the share done is shown instead of a count.
        """
        ...

    def note(self, numbers: Mapping[str, float]) -> None:
        """Set the numbers shown with the tracked loop, e.g. its loss. Each call replaces the previous numbers."""
        ...

    def say(self, line: str) -> None: ...


class Model(Protocol):
    """Language model interface of evaluation and serving. Prompts are token ids of the model's tokenizer."""

    digest: str

    def generate(self, prompts: Sequence[Sequence[int]], *, max_new_tokens: int) -> list[list[int]]:
        """Greedy completions, one per prompt, without prompt and end token."""
        ...

    def logprobs(self, prompts: Sequence[Sequence[int]], completions: Sequence[Sequence[int]]) -> list[list[float]]:
        """Natural-log probability of each completion token given all tokens before it."""
        ...
