"""Progress of reading: of one file (FileProgress), and of all files of a split (ReadProgress)."""

from dataclasses import dataclass, field


@dataclass
class FileProgress:
    """The fraction of a file that was read, by its `size` in bytes on disk; `notes` are the reader's remarks on the file."""

    name: str = ""
    size: int = 0
    fraction: float = 0.0
    notes: list[str] = field(default_factory=list)


@dataclass
class ReadProgress:
    """Progress over all files of a split, in reading order. `rows` counts the rows read so far, of at most `limit`.

    `total_unknown` is set where one of several sources has a limit: how much of its files will be read is not known in advance.
    """

    files: list[FileProgress] = field(default_factory=list)
    rows: int = 0
    limit: int | None = None
    total_unknown: bool = False

    def fraction(self) -> float | None:
        """The part of the work that is done, from 0 to 1; None where the total is unknown."""
        size = sum(file.size for file in self.files)
        if self.total_unknown or not size:
            return None
        read = sum(file.size * file.fraction for file in self.files) / size
        return read if self.limit is None else max(read, min(1.0, self.rows / self.limit))

    def notes(self) -> list[tuple[str, str]]:
        """(file name, note), in the order of the files."""
        return [(file.name, note) for file in self.files for note in file.notes]
