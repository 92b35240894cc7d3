"""What an audit is written to besides the screen: a page to read, a file for code hosts; and the examples at a terminal."""

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
"""Characters of a row's message at a terminal."""
MARK_STYLES: Final = {
    "match": "bold reverse",
    "differs": "bold underline",
    "placed": "bold green",
    "gone": "dim",
    "masked": "dim",
}
PLAIN_MARKERS: Final = {"match": ("»", "«"), "differs": ("_", "_")}
"""What stands around marked words where there is no colour."""


@dataclass(frozen=True)
class AuditOutputs:
    """Files that were asked for. Raises Misuse early, before anything is read, when one cannot be written."""

    html: Path | None = None
    sarif: Path | None = None

    def __post_init__(self) -> None:
        for option, path in (("--html", self.html), ("--sarif", self.sarif)):
            if path is not None and path.is_dir():
                raise Misuse("this is a folder", where=f"{option} {path}", hint="name a file in it")
            if path is not None and not path.parent.is_dir():
                raise Misuse("there is no such folder", where=f"{option} {path}", hint=f"make {path.parent} first")
        if self.html is not None and self.html == self.sarif:
            raise Misuse("both reports would be one file", where=str(self.html), hint="name two files")


def write_outputs(report: "AuditReport", context: "Context", faces: AuditOutputs, *, name: str) -> list[str]:
    """Write the files that were asked for; one line about each."""
    import gzip

    from tunesmith.audit import report_page, sarif_bytes
    from tunesmith.store.objects import write_atomic

    told = []
    if faces.html is not None:
        beside = faces.html.with_suffix(".quarantine.jsonl") if report.dropped else None
        page = report_page(report, context.store, name=name, quarantine=None if beside is None else beside.name)
        if beside is not None:
            write_atomic(beside, gzip.decompress(context.store.objects.get(report.quarantine)))
            told.append(f"Rows taken out: {beside}")
        write_atomic(faces.html, page.encode())
        told.insert(0, f"Report: {faces.html}")
    if faces.sarif is not None:
        write_atomic(faces.sarif, sarif_bytes(report, context.store, base=relative_folder(context.data_root)))
        told.append(f"SARIF: {faces.sarif}")
    return told


def relative_folder(folder: Path) -> str:
    """A folder as seen from here; in full where that would lead up and down."""
    relative = os.path.relpath(folder)
    return folder.resolve().as_posix() if relative.startswith("..") else Path(relative).as_posix()


def show_examples(report: "AuditReport", context: "Context", console: "Console") -> None:
    """One row of each rule, with the matched words marked, beside the other row where there is one; then the speed."""
    from rich.text import Text

    from tunesmith.audit import finding_examples

    found = finding_examples(report, context.store, each=1)
    if found:
        console.print()
        console.print(Text("Examples", style="bold"))
    for rule, (sample, *_) in found.items():
        if not sample.turns:
            continue
        console.print(Text.assemble("  ", (rule, "bold"), "  ", sample_location(sample)), soft_wrap=True)
        for line in message_lines(sample, console):
            console.print(line, soft_wrap=True)
    speed = report.measured.get("rows_per_second", 0.0)
    if speed:
        console.print()
        seconds = report.measured["seconds"]
        console.print(
            Text(f"{report.rows_read:,} rows in {seconds:,.1f} s, {speed:,.0f} rows a second"), soft_wrap=True
        )


def sample_location(sample: "FindingExample") -> str:
    """Where the row stands, and the other one."""
    from tunesmith.cli.report_tables import format_place

    finding = sample.finding
    return format_place(finding.place) + (f" and {format_place(finding.other)}" if finding.other is not None else "")


def message_lines(sample: "FindingExample", console: "Console") -> "Iterable[Text]":
    """The telling message of the row, then of the other row."""
    at = marked_message_index(sample)
    yield message_line(sample.turns[at].pieces, console)
    if at < len(sample.other) and sample.other[at].pieces != sample.turns[at].pieces:
        yield message_line(sample.other[at].pieces, console)


def marked_message_index(sample: "FindingExample") -> int:
    """The first message with something marked in it, here or in the other row, or the first that is no instruction."""
    both = list(zip_longest(sample.turns, sample.other[: len(sample.turns)]))
    pieces = [[*mine.pieces, *(other.pieces if other is not None else ())] for mine, other in both]
    marked = (place for place, found in enumerate(pieces) if any(one.kind != "plain" for one in found))
    plain = (place for place, turn in enumerate(sample.turns) if turn.speaker != "Instruction")
    return next(marked, next(plain, 0))


def message_line(pieces: "Iterable[Highlight]", console: "Console") -> "Text":
    """A message on one line, with marks in colour, or in signs where there is none."""
    from rich.text import Text

    from tunesmith.audit.page.highlights import shorten_message

    coloured, made = console.color_system is not None, Text("    ")
    for piece in shorten_message(list(pieces), MAX_MESSAGE_CHARACTERS):
        text = " ".join(piece.text.split("\n"))
        before, after = ("", "") if coloured else PLAIN_MARKERS.get(piece.kind, ("", ""))
        made.append(f"{before}{text}{after}", MARK_STYLES.get(piece.kind, ""))
    return made


def finish_audit(report: "AuditReport", context: "Context", faces: AuditOutputs, *, name: str, quiet: bool) -> None:
    """The files, before anything that a closed pipe could stop; then examples on stderr, and a line about each file."""
    told = write_outputs(report, context, faces, name=name)
    if not quiet:
        show_examples(report, context, output.message_console())
        for line in told:
            output.write_message(line)
