"""Protocols of the outside world. Final classes stand behind them; tests use fakes that ship with the project."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Protocol, TypeVar, runtime_checkable

T = TypeVar("T")


class Clock(Protocol):
    """Where the time comes from."""

    def now(self) -> datetime:
        """The present moment, timezone-aware, UTC."""
        ...

    def seconds(self) -> float:
        """A monotonic reading in seconds, for measurements."""
        ...


class ObjectStore(Protocol):
    """Content-addressed bytes: what is put in is found again under its SHA-256, or not at all."""

    def put(self, data: bytes) -> str:
        """Store `data`, return its digest as `sha256:<64 hex>`."""
        ...

    def get(self, digest: str) -> bytes:
        """The bytes of a digest. Raises IntegrityBroken when missing or altered."""
        ...

    def has(self, digest: str) -> bool: ...


class Signer(Protocol):
    """A private key that signs; the key itself never leaves it."""

    def sign(self, message: bytes) -> bytes:
        """ECDSA over SHA-256 with a deterministic nonce (RFC 6979), DER encoded."""
        ...

    def public_pem(self) -> bytes:
        """SubjectPublicKeyInfo in PEM."""
        ...


@runtime_checkable
class MeasuredItems(Protocol):
    """Items whose number nobody knows before the last, of a work whose share is known: rows of files, by their bytes."""

    def share(self) -> float | None:
        """From 0 to 1, how much of the work is done by now; None where it cannot be known."""
        ...


class Progress(Protocol):
    """Talk to whoever waits. Silent in libraries, a live line in the CLI."""

    def track(self, items: Iterable[T], *, label: str, total: int | None = None) -> Iterator[T]:
        """Yield the items while showing how many are done and how long the rest will take.

        Of items that are Measured the share that is done is shown in place of their number.
        """
        ...

    def note(self, numbers: Mapping[str, float]) -> None:
        """Numbers by name that go with the loop being tracked, e.g. its loss; the next note takes their place."""
        ...

    def say(self, line: str) -> None: ...


class Model(Protocol):
    """What evaluation and serving need of a language model; prompts are token ids under its own tokenizer."""

    digest: str

    def generate(self, prompts: Sequence[Sequence[int]], *, max_new_tokens: int) -> list[list[int]]:
        """Greedy completions, one per prompt, without the prompt and without the end token."""
        ...

    def logprobs(self, prompts: Sequence[Sequence[int]], completions: Sequence[Sequence[int]]) -> list[list[float]]:
        """Natural-log probability of each completion token given what precedes it."""
        ...
