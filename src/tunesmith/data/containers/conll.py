"""CoNLL: one token and its tag a line, an empty line after each sentence.

The token is the first column and the tag the last (CoNLL-2003, WNUT 2017); columns stand apart by tabs, or by spaces where a
line has no tab. `-DOCSTART-` lines are passed over. CoNLL-U, whose last column is no tag, is not read.
"""

from collections.abc import Iterator
from pathlib import Path

from tunesmith.data.containers.json_files import ScannedRecord
from tunesmith.data.containers.read_progress import FileProgress
from tunesmith.data.containers.stream import read_lines
from tunesmith.data.format import InvalidRow

DOCUMENT_START = "-DOCSTART-"


def read_conll(path: Path, name: str, progress: FileProgress) -> Iterator[ScannedRecord]:
    """A sentence as `{"tokens": [...], "tags": [...]}` under the line of its first token; without a tag on a line, a Misfit."""
    pairs: list[list[str]] = []
    start, wrong = 0, None
    for line in read_lines(path, name, progress):
        number, text = (line.line, "") if isinstance(line, InvalidRow) else line
        wrong = line if isinstance(line, InvalidRow) else wrong
        if text.strip():
            start = start or number
            fields = _split_fields(text.rstrip("\r"))
            pairs.append(fields)
            bad = len(fields) < 2 or not fields[0].strip() or not fields[-1].strip()
            wrong = wrong or (InvalidRow(number, "a token without a tag", "token, tab, tag") if bad else None)
        elif start or wrong:
            yield from _sentence_record(pairs, start, wrong)
            pairs, start, wrong = [], 0, None
    if start:
        yield from _sentence_record(pairs, start, wrong)


def _split_fields(text: str) -> list[str]:
    return text.split("\t") if "\t" in text else text.split()


def _sentence_record(pairs: list[list[str]], start: int, wrong: InvalidRow | None) -> Iterator[ScannedRecord]:
    if wrong is not None:
        yield wrong
        return
    kept = [fields for fields in pairs if fields[0] != DOCUMENT_START]
    if kept:
        yield start, {"tokens": [fields[0] for fields in kept], "tags": [fields[-1].strip() for fields in kept]}
