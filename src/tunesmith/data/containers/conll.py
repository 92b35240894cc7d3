"""Read CoNLL files: one token and its tag per line, an empty line after each sentence.

The token is the first column and the tag the last (CoNLL-2003, WNUT 2017). Columns are separated by tabs, or by spaces in a line
without tabs. `-DOCSTART-` lines are skipped. CoNLL-U, whose last column is not a tag, is not supported.
"""

from collections.abc import Iterator
from pathlib import Path

from tunesmith.data.containers.json_files import ScannedRecord
from tunesmith.data.containers.read_progress import FileProgress
from tunesmith.data.containers.stream import read_lines
from tunesmith.data.format import InvalidRow

DOCUMENT_START = "-DOCSTART-"


def read_conll(path: Path, name: str, progress: FileProgress) -> Iterator[ScannedRecord]:
    """Yield sentences as `{"tokens": [...], "tags": [...]}` at the line of the first token, or an InvalidRow."""
    pairs: list[list[str]] = []
    start, invalid = 0, None
    for line in read_lines(path, name, progress):
        number, text = (line.line, "") if isinstance(line, InvalidRow) else line
        invalid = line if isinstance(line, InvalidRow) else invalid
        if text.strip():
            start = start or number
            fields = _split_fields(text.rstrip("\r"))
            pairs.append(fields)
            incomplete = len(fields) < 2 or not fields[0].strip() or not fields[-1].strip()
            if incomplete and invalid is None:
                invalid = InvalidRow(number, "a token without a tag", "token, tab, tag")
        elif start or invalid:
            yield from _sentence_record(pairs, start, invalid)
            pairs, start, invalid = [], 0, None
    if start:
        yield from _sentence_record(pairs, start, invalid)


def _split_fields(text: str) -> list[str]:
    return text.split("\t") if "\t" in text else text.split()


def _sentence_record(pairs: list[list[str]], start: int, invalid: InvalidRow | None) -> Iterator[ScannedRecord]:
    if invalid is not None:
        yield invalid
        return
    tokens = [fields for fields in pairs if fields[0] != DOCUMENT_START]
    if tokens:
        yield start, {"tokens": [fields[0] for fields in tokens], "tags": [fields[-1].strip() for fields in tokens]}
