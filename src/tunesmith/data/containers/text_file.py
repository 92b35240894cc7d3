"""Read text and Markdown files: a file is one document and one row. Paragraphs are not rows: each would lose its context."""

from collections.abc import Iterator
from pathlib import Path

from tunesmith.data.containers.json_files import ScannedRecord
from tunesmith.data.containers.read_progress import FileProgress
from tunesmith.data.containers.stream import MAX_LINE_BYTES, read_whole_text


def read_text_file(path: Path, name: str, progress: FileProgress) -> Iterator[ScannedRecord]:
    """Yield `{"text": ...}` with the whole text, as line 1; nothing when the text is blank."""
    text = read_whole_text(path, name, limit=MAX_LINE_BYTES, hint="split it into one file per document")
    if text.strip():
        progress.fraction = 1.0
        yield 1, {"text": text}
