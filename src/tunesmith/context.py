"""Context: what a stage is handed besides its inputs. Store, clock, seeded randomness, progress; nothing else is ambient."""

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
    """The machine's own clock."""

    def now(self) -> datetime:
        return datetime.now(timezone.utc)

    def seconds(self) -> float:
        return monotonic()


class SilentProgress:
    """Progress for libraries and tests: nothing is shown."""

    def track(self, items: Iterable[T], *, label: str, total: int | None = None) -> Iterator[T]:
        yield from items

    def note(self, numbers: Mapping[str, float]) -> None:
        return None

    def say(self, line: str) -> None:
        return None


@dataclass(frozen=True)
class Context:
    """Handed to every stage. `data_root` resolves relative data paths and is not part of any content key."""

    store: Store
    data_root: Path
    home: Path
    seed: int = 0
    clock: Clock = field(default_factory=SystemClock)
    progress: Progress = field(default_factory=SilentProgress)

    def seed_for(self, purpose: str) -> int:
        """A 63-bit seed for one named purpose, e.g. `train/order/0`; the same seed and purpose give the same stream."""
        data = f"{self.seed}:{purpose}".encode()
        return int.from_bytes(hashlib.sha256(data).digest()[:8], "big") >> 1

    def rng(self, purpose: str) -> numpy.random.Generator:
        """A random generator for one named purpose."""
        return numpy.random.default_rng(self.seed_for(purpose))

    def provenance(self, stage: str, *, inputs: dict[str, str], settings: Artifact | dict[str, Any]) -> Provenance:
        """What a report of `stage` is made from and by."""
        value = settings.model_dump(mode="json") if isinstance(settings, Artifact) else settings
        return Provenance(
            stage=stage,
            inputs=dict(sorted(inputs.items())),
            settings=digest_of(canonical_bytes(value)),
            code=code_version(),
            versions=library_versions(),
            seed=self.seed,
        )
