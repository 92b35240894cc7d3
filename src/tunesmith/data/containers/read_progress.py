"""Gauge: what reading a file tells beside its rows. Course: the same of all files of a split."""

from dataclasses import dataclass, field


@dataclass
class FileProgress:
    """How much of a file is read, from 0 to 1, by its bytes as they lie on disk; and what its reader says of it once."""

    name: str = ""
    size: int = 0
    share: float = 0.0
    notes: list[str] = field(default_factory=list)


@dataclass
class ReadProgress:
    """The gauges of the files that are to be read, in order. `rows` are those that came out so far, of at most `limit`.

    `partly` is true where one of several sources has a limit: how much of its files will be read is not known before.
    """

    gauges: list[FileProgress] = field(default_factory=list)
    rows: int = 0
    limit: int | None = None
    partly: bool = False

    def share(self) -> float | None:
        """From 0 to 1, how much of the work is done; None where it cannot be known."""
        size = sum(gauge.size for gauge in self.gauges)
        if self.partly or not size:
            return None
        read = sum(gauge.size * gauge.share for gauge in self.gauges) / size
        return read if self.limit is None else max(read, min(1.0, self.rows / self.limit))

    def notes(self) -> list[tuple[str, str]]:
        """(file, what is said of it) in the order of the files."""
        return [(gauge.name, note) for gauge in self.gauges for note in gauge.notes]
