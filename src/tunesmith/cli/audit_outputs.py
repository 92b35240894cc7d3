"""Audit output: the HTML report, the SARIF file, and examples on the terminal."""

import os.path
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tunesmith.cli import output
from tunesmith.errors import Misuse

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

    from tunesmith.artifacts import AuditReport
    from tunesmith.audit.page import FindingExample, Highlight
    from tunesmith.context import Context

MAX_MESSAGE_CHARACTERS: Final = 96
"""Length of a message excerpt on the terminal."""
MARK_STYLES: Final = {
    "match": "bold reverse",
    "differs": "bold underline",
    "placed": "bold green",
    "gone": "dim",
    "masked": "dim",
}
PLAIN_MARKERS: Final = {"match": ("»", "«"), "differs": ("_", "_")}
"""Strings placed around marked words on terminals without colour."""


@dataclass(frozen=True)
class AuditOutputs:
    """Requested output files. Paths are validated on construction, before any data is read; raises Misuse."""

    html: Path | None = None
    sarif: Path | None = None

    def __post_init__(self) -> None:
        for option, path in (("--html", self.html), ("--sarif", self.sarif)):
            if path is not None and path.is_dir():
                raise Misuse("the output path is a folder", where=f"{option} {path}", hint="give the path of a file")
            if path is not None and not path.parent.is_dir():
                raise Misuse(
                    "the output folder does not exist", where=f"{option} {path}", hint=f"run `mkdir -p {path.parent}`"
                )
        if self.html is not None and self.html == self.sarif:
            raise Misuse("--html and --sarif name the same file", where=str(self.html), hint="give two different paths")


def write_outputs(report: "AuditReport", context: "Context", outputs: AuditOutputs, *, name: str) -> list[str]:
    """Write the requested files. Returns one message per file written."""
    import gzip

    from tunesmith.audit import report_page, sarif_bytes
    from tunesmith.store.objects import write_atomic

    messages = []
    if outputs.html is not None:
        quarantine = outputs.html.with_suffix(".quarantine.jsonl") if report.dropped else None
        page = report_page(report, context.store, name=name, quarantine=None if quarantine is None else quarantine.name)
        if quarantine is not None:
            write_atomic(quarantine, gzip.decompress(context.store.objects.get(report.quarantine)))
            messages.append(f"Removed rows: {quarantine}")
        write_atomic(outputs.html, page.encode())
        messages.insert(0, f"Report: {outputs.html}")
    if outputs.sarif is not None:
        write_atomic(outputs.sarif, sarif_bytes(report, context.store, base=relative_folder(context.data_root)))
        messages.append(f"SARIF: {outputs.sarif}")
    return messages


def relative_folder(folder: Path) -> str:
    """Path relative to the working directory, or absolute when it lies outside it."""
    relative = os.path.relpath(folder)
    return folder.resolve().as_posix() if relative.startswith("..") else Path(relative).as_posix()


def show_examples(report: "AuditReport", context: "Context", console: "Console") -> None:
    """Print one example per rule with the matched words marked, the paired row if there is one, then the throughput."""
    from rich.text import Text

    from tunesmith.audit import finding_examples

    examples = finding_examples(report, context.store, each=1)
    if examples:
        console.print()
        console.print(Text("Examples", style="bold"))
    for rule, (example, *_) in examples.items():
        if not example.turns:
            continue
        console.print(Text.assemble("  ", (rule, "bold"), "  ", example_location(example)), soft_wrap=True)
        for line in message_lines(example, console):
            console.print(line, soft_wrap=True)
    rows_per_second = report.measured.get("rows_per_second", 0.0)
    if rows_per_second:
        console.print()
        seconds = report.measured["seconds"]
        console.print(
            Text(f"{report.rows_read:,} rows in {seconds:,.1f} s ({rows_per_second:,.0f} rows/s)"), soft_wrap=True
        )


def example_location(example: "FindingExample") -> str:
    """Location of the row and, for a pair, of the other row."""
    from tunesmith.cli.report_tables import format_place

    finding = example.finding
    return format_place(finding.place) + (f" and {format_place(finding.other)}" if finding.other is not None else "")


def message_lines(example: "FindingExample", console: "Console") -> "Iterable[Text]":
    """The first message with a mark, then the same message of the other row if it differs."""
    index = marked_message_index(example)
    yield message_line(example.turns[index].pieces, console)
    if index < len(example.other) and example.other[index].pieces != example.turns[index].pieces:
        yield message_line(example.other[index].pieces, console)


def marked_message_index(example: "FindingExample") -> int:
    """Index of the first message with a mark in either row; without marks, of the first that is not an instruction."""
    both = list(zip_longest(example.turns, example.other[: len(example.turns)]))
    pieces = [[*mine.pieces, *(other.pieces if other is not None else ())] for mine, other in both]
    with_marks = (index for index, parts in enumerate(pieces) if any(piece.kind != "plain" for piece in parts))
    not_instruction = (index for index, turn in enumerate(example.turns) if turn.speaker != "Instruction")
    return next(with_marks, next(not_instruction, 0))


def message_line(pieces: "Iterable[Highlight]", console: "Console") -> "Text":
    """A message on one line, its marks in colour or, without colour, between plain markers."""
    from rich.text import Text

    from tunesmith.audit.page.highlights import shorten_message

    has_colour, line = console.color_system is not None, Text("    ")
    for piece in shorten_message(list(pieces), MAX_MESSAGE_CHARACTERS):
        text = " ".join(piece.text.split("\n"))
        before, after = ("", "") if has_colour else PLAIN_MARKERS.get(piece.kind, ("", ""))
        line.append(f"{before}{text}{after}", MARK_STYLES.get(piece.kind, ""))
    return line


def finish_audit(report: "AuditReport", context: "Context", outputs: AuditOutputs, *, name: str, quiet: bool) -> None:
    """Write the files first, since a closed pipe can stop the printing; then print examples and file names on stderr."""
    messages = write_outputs(report, context, outputs, name=name)
    if not quiet:
        show_examples(report, context, output.message_console())
        for line in messages:
            output.write_message(line)
