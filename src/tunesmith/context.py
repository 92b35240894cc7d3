"""Context: store, clock, seeded randomness and progress, passed to every stage. Stages use no other global state."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from time import monotonic
from typing import Any, TypeVar

import numpy

from tunesmith.artifacts import Artifact, Provenance, canonical_bytes, digest_of
from tunesmith.ports import Clock, Progress
from tunesmith.store import Store
from tunesmith.store.versions import code_version, library_versions

T = TypeVar("T")


class SystemClock:
    """The system clock."""

    def now(self) -> datetime:
        return datetime.now(timezone.utc)

    def seconds(self) -> float:
        return monotonic()


class SilentProgress:
    """Progress that shows nothing, for library use and tests."""

    def track(self, items: Iterable[T], *, label: str, total: int | None = None) -> Iterator[T]:
        yield from items

    def note(self, numbers: Mapping[str, float]) -> None:
        return None

    def say(self, line: str) -> None:
        return None


@dataclass(frozen=True)
class Context:
    """Passed to every stage. `data_root` resolves relative data paths and is not part of any content key."""

    store: Store
    data_root: Path
    home: Path
    seed: int = 0
    clock: Clock = field(default_factory=SystemClock)
    progress: Progress = field(default_factory=SilentProgress)

    def seed_for(self, purpose: str) -> int:
        """63-bit seed for a named purpose, e.g. `train/order/0`. The same seed and purpose give the same stream."""
        data = f"{self.seed}:{purpose}".encode()
        return int.from_bytes(hashlib.sha256(data).digest()[:8], "big") >> 1

    def rng(self, purpose: str) -> numpy.random.Generator:
        """Random generator for a named purpose."""
        return numpy.random.default_rng(self.seed_for(purpose))

    def provenance(self, stage: str, *, inputs: dict[str, str], settings: Artifact | dict[str, Any]) -> Provenance:
        """Provenance of a report: stage, input digests, settings digest, code and library versions, seed."""
        value = settings.model_dump(mode="json") if isinstance(settings, Artifact) else settings
        return Provenance(
            stage=stage,
            inputs=dict(sorted(inputs.items())),
            settings=digest_of(canonical_bytes(value)),
            code=code_version(),
            versions=library_versions(),
            seed=self.seed,
        )
