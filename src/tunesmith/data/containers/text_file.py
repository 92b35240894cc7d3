"""Text and Markdown: a file is one row, as it is one document. Paragraphs are no rows: each would lose what stands around it."""

from collections.abc import Iterator
from pathlib import Path

from tunesmith.data.containers.gauge import Gauge
from tunesmith.data.containers.json_files import Item
from tunesmith.data.containers.stream import LINE_LIMIT, whole


def text_file(path: Path, name: str, gauge: Gauge) -> Iterator[Item]:
    """`{"text": ...}` with the whole text, under line 1; nothing when it holds no letter."""
    text = whole(path, name, limit=LINE_LIMIT, hint="split it into files of one document each")
    if text.strip():
        gauge.share = 1.0
        yield 1, {"text": text}
