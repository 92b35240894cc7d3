"""JSON lines, and JSON files: an array of objects, JSON lines under that name, or the nested SQuAD file."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from tunesmith.data.containers.gauge import Gauge
from tunesmith.data.containers.json_values import end_of_broken, parse, parse_at, row_of
from tunesmith.data.containers.stream import WHOLE_LIMIT, chunks, lines, whole
from tunesmith.data.format import Misfit, Record
from tunesmith.errors import DataError

Item = tuple[int, Record] | Misfit
QUESTION: Final = re.compile(r'(?<!\\)"question"\s*:')


def json_lines(path: Path, name: str, gauge: Gauge) -> Iterator[Item]:
    """One object a line; empty lines are passed over, a line that cannot be used is a Misfit."""
    for line in lines(path, name, gauge):
        if isinstance(line, Misfit):
            yield line
        elif line[1] and not line[1].isspace():
            yield _row(*line)


def _row(number: int, text: str) -> Item:
    try:
        return number, row_of(parse(text))
    except DataError as error:
        return Misfit(number, error.what, error.hint)


def json_file(path: Path, name: str, gauge: Gauge) -> Iterator[Item]:
    """A JSON array of objects, JSON lines under the name .json, one object over several lines, or a SQuAD file."""
    first = next((text for chunk in chunks(path, name) if (text := _opening(chunk))), "")
    if first == "{":
        document = _document(path, name)
        if document is None:
            yield from json_lines(path, name, gauge)
        elif _is_squad(document[0]):
            yield from _squad(*document, name, gauge)
        else:
            gauge.share = 1.0
            yield 1, row_of(document[0])
    else:
        hint = "save it as JSON lines (.jsonl)"
        yield from _array(whole(path, name, limit=WHOLE_LIMIT, hint=hint), name, gauge)


def _opening(chunk: bytes) -> str:
    return chunk.removeprefix(b"\xef\xbb\xbf").lstrip()[:1].decode("latin-1")


def _document(path: Path, name: str) -> tuple[Any, str] | None:
    """(value, text) of a file that is one JSON object and not JSON lines."""
    first = next((line for line in lines(path, name) if isinstance(line, Misfit) or line[1].strip()), None)
    if isinstance(first, tuple):
        item = _row(*first)
        if not isinstance(item, Misfit) and not _is_squad(item[1]):
            return None
    try:
        text = whole(path, name, limit=WHOLE_LIMIT, hint="save it as JSON lines (.jsonl)")
        value = parse(text)
    except DataError:
        return None
    return value, text


def _is_squad(value: Any) -> bool:
    data = value.get("data") if isinstance(value, dict) else None
    return isinstance(data, list) and all(isinstance(one, dict) and "paragraphs" in one for one in data)


def _squad(value: Any, text: str, name: str, gauge: Gauge) -> Iterator[Item]:
    """Questions in order, each with its context; the line is that of its `question`, or its number when they do not tally."""
    try:
        records = [
            {"question": asked["question"], "context": paragraph["context"], "answers": asked["answers"]}
            for article in value["data"]
            for paragraph in article["paragraphs"]
            for asked in paragraph["qas"]
        ]
    except (KeyError, TypeError) as error:
        hint = "data, paragraphs, context, qas, question, answers"
        raise DataError(f"not a whole SQuAD file: {error} is missing or wrong", where=name, hint=hint) from error
    places = [found.start() for found in QUESTION.finditer(text)]
    tally = len(places) == len(records)
    line, position = 1, 0
    for number, record in enumerate(records):
        place = places[number] if tally else 0
        line += text.count("\n", position, place)
        position = max(position, place)
        gauge.share = (number + 1) / len(records)
        yield (line if tally else number + 1), record


def _array(text: str, name: str, gauge: Gauge) -> Iterator[Item]:
    """Items one by one, so that each has its line; the gauge stands where they are read, not where the bytes are."""
    position, line = _skip(text, 0), 1
    if text and text[position : position + 1] not in ("[", ""):
        raise DataError("a JSON file is an array of objects, or one object per line", where=f"{name}:1")
    line += text.count("\n", 0, position)
    position += 1
    while (start := _skip(text, position)) < len(text) and text[start] != "]":
        line += text.count("\n", position, start)
        item, end = _item(text, start, line, name)
        gauge.share = end / len(text)
        yield item
        after = _skip(text, end)
        line += text.count("\n", start, after)
        if text[after : after + 1] not in (",", "]"):
            raise DataError("broken JSON: a comma or ] is missing", where=f"{name}:{line}")
        position = after + (text[after] == ",")
    if not text.strip():
        return
    if start >= len(text):
        hint = "was the file cut off?"
        raise DataError("broken JSON: the array is not closed", where=f"{name}:{line}", hint=hint)
    if (after := _skip(text, start + 1)) < len(text):
        line += text.count("\n", position, after)
        raise DataError("broken JSON: text after the array", where=f"{name}:{line}")


def _item(text: str, start: int, line: int, name: str) -> tuple[Item, int]:
    """A row, or a Misfit when what is wrong with it leaves no doubt where the next one begins."""
    try:
        value, end = parse_at(text, start)
        return (line, row_of(value)), end
    except DataError as error:
        if (resume := end_of_broken(text, start)) is None:
            raise DataError(error.what, where=f"{name}:{line}", hint=error.hint) from error
        return Misfit(line, error.what, error.hint), resume


def _skip(text: str, position: int) -> int:
    while position < len(text) and text[position] in " \t\r\n":
        position += 1
    return position
