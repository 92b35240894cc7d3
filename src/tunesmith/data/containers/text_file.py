"""Text and Markdown: a file is one row, as it is one document. Paragraphs are no rows: each would lose what stands around it."""

from collections.abc import Iterator
from pathlib import Path

from tunesmith.data.containers.json_files import ScannedRecord
from tunesmith.data.containers.read_progress import FileProgress
from tunesmith.data.containers.stream import MAX_LINE_BYTES, read_whole_text


def read_text_file(path: Path, name: str, progress: FileProgress) -> Iterator[ScannedRecord]:
    """`{"text": ...}` with the whole text, under line 1; nothing when it holds no letter."""
    text = read_whole_text(path, name, limit=MAX_LINE_BYTES, hint="split it into files of one document each")
    if text.strip():
        progress.fraction = 1.0
        yield 1, {"text": text}
