"""Terminal view of a training preview (`--dry-run`): sample rows, rejected rows, lengths, tokens, memory and time."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from tunesmith.cli.output import print_heading, print_indented

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

    from tunesmith.artifacts import Lengths, RejectedRow, ShownRow, TrainPreview

TRAINED_STYLE: Final = "bold green underline"
MAX_PIECE_CHARACTERS: Final = 800
"""Longer pieces of a row are shown without their middle."""

MAX_REJECTED_ROWS: Final = 20
MAX_BAR_CHARACTERS: Final = 40


def print_preview(preview: "TrainPreview", console: "Console") -> None:
    """Print the preview: what would be trained, how many tokens, then memory and time."""
    from tunesmith.cli.run_summary import epochs_in_words

    print_heading(console, f"Dry run: {preview.base.name}, {preview.method}, {preview.objective}; nothing was trained")
    print_indented(
        console,
        f"{preview.rows:,} rows read, {len(preview.rejected):,} rejected, {preview.held_back:,} used for validation; "
        f"{preview.sequences:,} training sequences of at most {preview.window:,} tokens",
    )
    for row in preview.examples:
        print_heading(console, f"Row {format_row_place(row)}: {row.tokens:,} tokens, {row.trained:,} trained")
        console.print(mark_trained_text(row, styled=console.is_terminal), soft_wrap=True)
    if preview.rejected:
        print_heading(console, f"Rejected: {len(preview.rejected):,} rows; training stops at the first")
        for line in rejected_lines(preview.rejected):
            print_indented(console, line)
    print_heading(console, f"Tokens per sequence: {_format_lengths(preview.lengths)}")
    for line in histogram_lines(preview.lengths):
        print_indented(console, line)
    print_heading(console, f"Trained tokens per sequence: {_format_lengths(preview.trained_lengths)}")
    print_heading(
        console,
        f"Steps: {preview.steps:,}, {epochs_in_words(preview.epochs)}; tokens per step: {_format_lengths(preview.step_tokens)}",
    )
    for line in (*token_lines(preview), *resource_lines(preview)):
        print_indented(console, line)


def mark_trained_text(row: "ShownRow", *, styled: bool) -> "Text":
    """The row with trained text highlighted, or between [[ and ]] when not styled. Loss weights other than 1 are shown."""
    from rich.text import Text

    text = Text()
    for piece in row.pieces:
        content = shorten_piece(piece.text)
        if piece.weight == 0:
            text.append(content)
            continue
        weight = "" if piece.weight == 1 else f"{piece.weight:g}x "
        text.append(weight)
        text.append(content if styled else f"[[{content}]]", style=TRAINED_STYLE)
    return text


def shorten_piece(text: str) -> str:
    """Text safe for a terminal: the middle of a long text is omitted, control characters are escaped."""
    half = MAX_PIECE_CHARACTERS // 2
    if len(text) > MAX_PIECE_CHARACTERS:
        text = f"{text[:half]} ... {len(text) - 2 * half:,} characters omitted ... {text[-half:]}"
    return "".join(char if char.isprintable() or char in "\n\t" else ascii(char)[1:-1] for char in text)


def rejected_lines(rows: "Sequence[RejectedRow]") -> Iterator[str]:
    """One line per rejected row, at most twenty, then what truncation to the context length would cost."""
    for row in rows[:MAX_REJECTED_ROWS]:
        loss = f"; truncation would lose {row.lost:,} tokens, {row.lost_trained:,} of them trained" if row.lost else ""
        yield f"{format_row_place(row)}: {row.reason}{loss}"
    if len(rows) > MAX_REJECTED_ROWS:
        yield f"and {len(rows) - MAX_REJECTED_ROWS:,} more; use --json to list all"
    too_long = [row for row in rows if row.lost]
    if too_long:
        lost, trained = sum(row.lost for row in too_long), sum(row.lost_trained for row in too_long)
        yield f"too long: {len(too_long):,} rows; truncation would lose {lost:,} tokens, {trained:,} of them trained"


def histogram_lines(lengths: "Lengths") -> Iterator[str]:
    """One line per bin with a bar of #. A bin that is not empty has at least one #."""
    largest = max(bin.count for bin in lengths.bins)
    width = len(f"{lengths.most:,}")
    for bin in lengths.bins:
        bar = "#" * math.ceil(MAX_BAR_CHARACTERS * bin.count / largest)
        yield f"{bin.low:>{width},} to {bin.high:>{width},} {bar:<{MAX_BAR_CHARACTERS}} {bin.count:,}"


def token_lines(preview: "TrainPreview") -> Iterator[str]:
    """Token counts: all, trained, and computed when rows share prefixes."""
    yield f"tokens: {preview.epoch_tokens:,} per epoch, {preview.tokens:,} in total"
    yield f"trained: {preview.trained_tokens:,} tokens, {preview.trained_tokens / preview.tokens:.1%}"
    saving = preview.tokens / preview.distinct_tokens
    yield f"shared prefixes: {preview.distinct_tokens:,} tokens after sharing within each step, {saving:.2f} times fewer"
    state = "prefix sharing is on" if preview.shares else "prefix sharing is off"
    reason = f" ({sharing_reason(preview.sharing, preview.measured)})" if preview.sharing else ""
    yield f"computed: {preview.computed_tokens:,} tokens; {state}{reason}"


def sharing_reason(reason: str, measured: "Mapping[str, float]") -> str:
    """Why prefix sharing is on or off, with the measured differences if it was tried on the model."""
    if "sharing_worst" not in measured:
        return reason
    return (
        f"{reason}: logits differ by at most {measured['sharing_worst']:.2g} (limit {measured['sharing_bound']:.2g}), "
        f"median {measured['sharing_middle']:.2g} (limit {measured['sharing_middle_bound']:.2g})"
    )


def resource_lines(preview: "TrainPreview") -> Iterator[str]:
    """Memory by component, training time, and how both were estimated."""
    memory, measured = preview.memory, preview.measured
    activations, seconds = measured["activation_bytes"], measured["training_seconds"]
    tokens_per_second = measured["pass_tokens"] / max(measured["pass_seconds"], 1e-9)
    yield f"trainable parameters: {preview.trainable_parameters:,}"
    parts = (
        ("weights", memory.weights),
        ("gradients in fp32", memory.gradients),
        ("optimizer state", memory.optimizer),
    )
    parts_text = ", ".join(f"{name} {format_bytes(count)}" for name, count in parts)
    total = format_bytes(memory.total + activations)
    yield f"memory: {parts_text}, activations about {format_bytes(activations)}; about {total} in total"
    yield f"  activations are estimated: {preview.activations_how}"
    yield f"time: about {_format_seconds(seconds)}, {tokens_per_second:,.0f} tokens/s with {measured['threads']:.0f} threads"
    yield f"  time is estimated: {preview.time_how}"


def format_bytes(count: float) -> str:
    """E.g. `2.5 MB`, in powers of 1,000."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def _format_lengths(lengths: "Lengths") -> str:
    return f"min {lengths.least:,}, median {lengths.median:,}, 95th percentile {lengths.p95:,}, max {lengths.most:,}"


def format_row_place(row: "RejectedRow | ShownRow") -> str:
    """E.g. `tickets.jsonl:12`."""
    return f"{row.place.file}:{row.place.line}"


def _format_seconds(seconds: float) -> str:
    from tunesmith.cli.progress import format_duration

    return format_duration(seconds) if seconds >= 1 else f"{seconds:.2f} s"
