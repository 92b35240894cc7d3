"""Read JSON lines and JSON files: an array of objects, JSON lines named .json, or the nested SQuAD file."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from tunesmith.data.containers.json_values import as_record, end_of_invalid_value, parse_json, parse_json_at
from tunesmith.data.containers.read_progress import FileProgress
from tunesmith.data.containers.stream import MAX_DOCUMENT_BYTES, read_chunks, read_lines, read_whole_text
from tunesmith.data.format import InvalidRow, Record
from tunesmith.errors import DataError

ScannedRecord = tuple[int, Record] | InvalidRow
"""(line from 1, record) of a row, or why it is invalid."""
QUESTION_KEY: Final = re.compile(r'(?<!\\)"question"\s*:')


def read_json_lines(path: Path, name: str, progress: FileProgress) -> Iterator[ScannedRecord]:
    """Yield the object of each line; empty lines are skipped, a line without a valid object is an InvalidRow."""
    for line in read_lines(path, name, progress):
        if isinstance(line, InvalidRow):
            yield line
        elif line[1] and not line[1].isspace():
            yield _parse_row(*line)


def _parse_row(number: int, text: str) -> ScannedRecord:
    try:
        return number, as_record(parse_json(text))
    except DataError as error:
        return InvalidRow(number, error.what, error.hint)


def read_json(path: Path, name: str, progress: FileProgress) -> Iterator[ScannedRecord]:
    """Yield the rows of a JSON array of objects, of JSON lines named .json, of one object, or of a SQuAD file."""
    first = next((text for chunk in read_chunks(path, name) if (text := _first_character(chunk))), "")
    if first == "{":
        document = _read_document(path, name)
        if document is None:
            yield from read_json_lines(path, name, progress)
        elif _is_squad(document[0]):
            yield from _read_squad(*document, name, progress)
        else:
            progress.fraction = 1.0
            yield 1, as_record(document[0])
    else:
        hint = "save it as JSON lines (.jsonl)"
        yield from _read_array(read_whole_text(path, name, limit=MAX_DOCUMENT_BYTES, hint=hint), name, progress)


def _first_character(chunk: bytes) -> str:
    return chunk.removeprefix(b"\xef\xbb\xbf").lstrip()[:1].decode("latin-1")


def _read_document(path: Path, name: str) -> tuple[Any, str] | None:
    """(value, text) of a file that is one JSON object and not JSON lines."""
    first = next((line for line in read_lines(path, name) if isinstance(line, InvalidRow) or line[1].strip()), None)
    if isinstance(first, tuple):
        item = _parse_row(*first)
        if not isinstance(item, InvalidRow) and not _is_squad(item[1]):
            return None
    try:
        text = read_whole_text(path, name, limit=MAX_DOCUMENT_BYTES, hint="save it as JSON lines (.jsonl)")
        value = parse_json(text)
    except DataError:
        return None
    return value, text


def _is_squad(value: Any) -> bool:
    data = value.get("data") if isinstance(value, dict) else None
    return isinstance(data, list) and all(isinstance(article, dict) and "paragraphs" in article for article in data)


def _read_squad(value: Any, text: str, name: str, progress: FileProgress) -> Iterator[ScannedRecord]:
    """Yield the questions in order, each with its context.

    The line is that of the `question` key, or the number of the question when the text has more such keys than questions.
    """
    try:
        records = [
            {"question": item["question"], "context": paragraph["context"], "answers": item["answers"]}
            for article in value["data"]
            for paragraph in article["paragraphs"]
            for item in paragraph["qas"]
        ]
    except (KeyError, TypeError) as error:
        hint = "data, paragraphs, context, qas, question, answers"
        raise DataError(f"incomplete SQuAD file: {error} is missing or invalid", where=name, hint=hint) from error
    places = [match.start() for match in QUESTION_KEY.finditer(text)]
    has_lines = len(places) == len(records)
    line, position = 1, 0
    for number, record in enumerate(records):
        place = places[number] if has_lines else 0
        line += text.count("\n", position, place)
        position = max(position, place)
        progress.fraction = (number + 1) / len(records)
        yield (line if has_lines else number + 1), record


def _read_array(text: str, name: str, progress: FileProgress) -> Iterator[ScannedRecord]:
    """Yield the items of an array, parsed one by one so that each has its line; progress follows the parsing."""
    position, line = _skip_whitespace(text, 0), 1
    if text and text[position : position + 1] not in ("[", ""):
        raise DataError("a JSON file must be an array of objects, or one object per line", where=f"{name}:1")
    line += text.count("\n", 0, position)
    position += 1
    while (start := _skip_whitespace(text, position)) < len(text) and text[start] != "]":
        line += text.count("\n", position, start)
        item, end = _read_item(text, start, line, name)
        progress.fraction = end / len(text)
        yield item
        after = _skip_whitespace(text, end)
        line += text.count("\n", start, after)
        if text[after : after + 1] not in (",", "]"):
            raise DataError("broken JSON: a comma or ] is missing", where=f"{name}:{line}")
        position = after + (text[after] == ",")
    if not text.strip():
        return
    if start >= len(text):
        hint = "the file may be truncated; copy or download it again"
        raise DataError("broken JSON: the array is not closed", where=f"{name}:{line}", hint=hint)
    if (after := _skip_whitespace(text, start + 1)) < len(text):
        line += text.count("\n", position, after)
        raise DataError("broken JSON: text after the array", where=f"{name}:{line}")


def _read_item(text: str, start: int, line: int, name: str) -> tuple[ScannedRecord, int]:
    """(row, end). A broken item is an InvalidRow when the start of the next one is certain; otherwise DataError is raised."""
    try:
        value, end = parse_json_at(text, start)
        return (line, as_record(value)), end
    except DataError as error:
        if (resume := end_of_invalid_value(text, start)) is None:
            raise DataError(error.what, where=f"{name}:{line}", hint=error.hint) from error
        return InvalidRow(line, error.what, error.hint), resume


def _skip_whitespace(text: str, position: int) -> int:
    while position < len(text) and text[position] in " \t\r\n":
        position += 1
    return position
