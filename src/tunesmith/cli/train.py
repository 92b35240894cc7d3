"""`tunesmith train RECIPE`, and two looks ahead: `--dry-run` and `--find-rate`."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, TypeVar

import typer

from tunesmith.cli import distributed, options, output
from tunesmith.cli.options import Locations, RunOptions
from tunesmith.cli.stage_commands import StageName, check_before_run, run_until, show_reports
from tunesmith.errors import DataError, Misuse, Refused

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

    from tunesmith.artifacts import Lengths, RateSearch, RejectedRow, Report, ShownRow, TrainPreview
    from tunesmith.context import Context
    from tunesmith.recipe import Recipe

R = TypeVar("R", bound="Report")

TRAINED_STYLE: Final = "bold green underline"
MAX_PIECE_CHARACTERS: Final = 800
"""Characters of one piece of a row that are shown; the middle of a longer one is left out, and said to be."""

MAX_REJECTED_ROWS: Final = 20
MAX_BAR_CHARACTERS: Final = 40
PLOT_ROWS, PLOT_COLUMNS = 12, 60
MAX_TABLE_ROWS: Final = 12


def command(
    recipe: options.RecipePath,
    *,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show rows, masks, lengths, memory and time; take no step.")
    ] = False,
    find_rate: Annotated[
        bool, typer.Option("--find-rate", help="Try growing learning rates on a copy; train nothing.")
    ] = False,
    store: options.StoreFolder = None,
    database: options.Database = None,
    data_root: options.DataRoot = None,
    limit: options.Limit = None,
    max_steps: options.MaxSteps = None,
    again: options.Again = False,
    use: options.Use = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Audit the rows, then tune the base; or look ahead without taking a step."""
    wishes = RunOptions(limit=limit, max_steps=max_steps, again=again, use=use, json=json, quiet=quiet)
    places = Locations(store, database, data_root)
    if dry_run and find_rate:
        raise Misuse("two looks ahead at once", hint="give --dry-run or --find-rate")
    if (dry_run or find_rate) and use is not None:
        raise Misuse("a look ahead takes no training report", where="--use", hint="leave it out")
    if dry_run:
        show_dry_run(recipe, places=places, wishes=wishes)
    elif find_rate:
        show_rate_search(recipe, places=places, wishes=wishes)
    else:
        run_until("train", recipe, places=places, wishes=wishes)


def show_dry_run(path: Path, *, until: StageName = "train", places: Locations, wishes: RunOptions) -> None:
    """The preview on stdout. Raises what stages up to `until` would refuse, and DataError when rows would stop the training."""

    def look(recipe: "Recipe", context: "Context") -> "TrainPreview":
        from tunesmith import pipeline

        return pipeline.preview(recipe, context, until=until, again=wishes.again)

    preview = run_without_training(path, look, until=until, places=places, wishes=wishes)
    if wishes.json:
        output.write_data(preview.canonical())
    else:
        print_preview(preview, output.data_console())
    if preview.rejected:
        first = preview.rejected[0]
        raise DataError(
            f"{len(preview.rejected)} of {preview.rows} rows cannot be trained on; the first: {first.reason}",
            where=_row_place(first),
            hint="shorten or mend these rows, raise train.max_tokens, or drop them in the audit",
        )


def show_rate_search(path: Path, *, places: Locations, wishes: RunOptions) -> None:
    """The range test on stdout."""

    def look(recipe: "Recipe", context: "Context") -> "RateSearch":
        from dataclasses import replace

        from tunesmith import pipeline
        from tunesmith.train import TrainInputs, resolve_precision
        from tunesmith.train.lr_finder import find_learning_rate

        audit = pipeline.run(recipe, context, until="audit", again=wishes.again).audit
        assert audit is not None
        inputs, settings = TrainInputs(audit.train, recipe.base, recipe.task), resolve_precision(recipe.train)
        with context.store.lock("look ahead"):
            return find_learning_rate(inputs, settings, replace(context, seed=settings.seed))

    search = run_without_training(path, look, until="train", places=places, wishes=wishes)
    if wishes.json:
        output.write_data(search.canonical())
    else:
        print_rate_search(search, output.data_console())


def run_without_training(
    path: Path,
    look: "Callable[[Recipe, Context], R]",
    *,
    until: StageName,
    places: Locations,
    wishes: RunOptions,
) -> R:
    """Audit the rows as a run up to `until` does, then look. The audit is kept as done; of training nothing is."""
    from tunesmith.recipe import Limits, limited, load_recipe

    if distributed.is_distributed():
        raise Misuse("a look ahead is the work of one process", hint="start it without torchrun")
    recipe = limited(load_recipe(path), Limits(rows=wishes.limit, steps=wishes.max_steps))
    check_before_run(recipe, until, path, places=places)
    with output.progress(quiet=wishes.quiet) as progress:
        progress.say(f"{recipe.name}: audit, then a look ahead")
        from tunesmith import pipeline

        context = pipeline.open_context(
            path, store=places.store, database=places.database, data_root=places.data_root, progress=progress
        )
        try:
            return look(recipe, context)
        except Refused:
            from tunesmith.cli.store_access import reports_behind_refusal

            show_reports(reports_behind_refusal(recipe.name, context.store), wishes=wishes)
            raise


def print_preview(preview: "TrainPreview", console: "Console") -> None:
    """The preview for a person: first what would be trained, then how much of it, then what it takes."""
    found = preview
    _print_title(console, f"Dry run: {found.base.name}, {found.method}, {found.objective}; no step was taken")
    _print_line(
        console,
        f"{found.rows:,} rows read, {len(found.rejected):,} refused, {found.held_back:,} held back; "
        f"{found.sequences:,} sequences of at most {found.window:,} tokens to train on",
    )
    for row in found.examples:
        _print_title(console, f"Row {_row_place(row)}: {row.tokens:,} tokens, {row.trained:,} trained")
        console.print(mark_trained_text(row, styled=console.is_terminal), soft_wrap=True)
    if found.rejected:
        _print_title(console, f"Refused: {len(found.rejected):,} rows; training stops at the first")
        for line in rejected_lines(found.rejected):
            _print_line(console, line)
    _print_title(console, f"Tokens a sequence: {_format_lengths(found.lengths)}")
    for line in histogram_lines(found.lengths):
        _print_line(console, line)
    _print_title(console, f"Trained tokens a sequence: {_format_lengths(found.trained_lengths)}")
    from tunesmith.cli.run_summary import epochs_in_words

    _print_title(
        console,
        f"Steps: {found.steps:,}, {epochs_in_words(found.epochs)}; tokens a step: {_format_lengths(found.step_tokens)}",
    )
    for line in (*token_lines(found), *resource_lines(found)):
        _print_line(console, line)


def mark_trained_text(row: "ShownRow", *, styled: bool) -> "Text":
    """The row with its trained runs coloured and underlined, or between [[ and ]]; a weight that is not 1 is written."""
    from rich.text import Text

    text = Text()
    for piece in row.pieces:
        shown = shorten_piece(piece.text)
        if piece.weight == 0:
            text.append(shown)
            continue
        weight = "" if piece.weight == 1 else f"{piece.weight:g}x "
        text.append(weight)
        text.append(shown if styled else f"[[{shown}]]", style=TRAINED_STYLE)
    return text


def shorten_piece(text: str) -> str:
    """The text as a terminal may show it: its middle left out when it is long, control characters spelled out."""
    half = MAX_PIECE_CHARACTERS // 2
    if len(text) > MAX_PIECE_CHARACTERS:
        text = f"{text[:half]} ... {len(text) - 2 * half:,} characters ... {text[-half:]}"
    return "".join(one if one.isprintable() or one in "\n\t" else ascii(one)[1:-1] for one in text)


def rejected_lines(rows: "Sequence[RejectedRow]") -> Iterator[str]:
    """One line a row, the first twenty; then what a cut at the context would have lost."""
    for row in rows[:MAX_REJECTED_ROWS]:
        cost = f"; a cut would lose {row.lost:,} tokens, {row.lost_trained:,} of them trained" if row.lost else ""
        yield f"{_row_place(row)}: {row.reason}{cost}"
    if len(rows) > MAX_REJECTED_ROWS:
        yield f"and {len(rows) - MAX_REJECTED_ROWS:,} more; --json lists all"
    long = [row for row in rows if row.lost]
    if long:
        lost, trained = sum(row.lost for row in long), sum(row.lost_trained for row in long)
        yield f"too long: {len(long):,} rows; a cut would lose {lost:,} tokens, {trained:,} of them trained"


def histogram_lines(found: "Lengths") -> Iterator[str]:
    """A bar of # per bin; every bin that holds anything has at least one."""
    most = max(one.count for one in found.bins)
    wide = len(f"{found.most:,}")
    for one in found.bins:
        bar = "#" * math.ceil(MAX_BAR_CHARACTERS * one.count / most)
        yield f"{one.low:>{wide},} to {one.high:>{wide},} {bar:<{MAX_BAR_CHARACTERS}} {one.count:,}"


def token_lines(found: "TrainPreview") -> Iterator[str]:
    """How many tokens, how many of them trained, and how many are left when rows share their prefixes."""
    yield f"tokens: {found.epoch_tokens:,} an epoch, {found.tokens:,} in all"
    yield f"trained: {found.trained_tokens:,} tokens, {found.trained_tokens / found.tokens:.1%}"
    saving = found.tokens / found.distinct_tokens
    yield f"shared prefixes: {found.distinct_tokens:,} distinct tokens within the steps, {saving:.2f} times fewer"
    how = "prefixes are shared within a pass" if found.shares else "prefixes are not shared"
    why = f" ({sharing_reason(found.sharing, found.measured)})" if found.sharing else ""
    yield f"computed: {found.computed_tokens:,} tokens; {how}{why}"


def sharing_reason(why: str, measured: "Mapping[str, float]") -> str:
    """Why prefixes are shared or not, with the figures where it was tried on the model."""
    if "sharing_worst" not in measured:
        return why
    return (
        f"{why}: logits differ by {measured['sharing_worst']:.2g} at worst, {measured['sharing_bound']:.2g} allowed there, "
        f"and by {measured['sharing_middle']:.2g} in the middle, {measured['sharing_middle_bound']:.2g} allowed"
    )


def resource_lines(found: "TrainPreview") -> Iterator[str]:
    """Memory by part, time, and how the two estimates were made."""
    fixed, measured = found.memory, found.measured
    activations, seconds = measured["activation_bytes"], measured["training_seconds"]
    speed = measured["pass_tokens"] / max(measured["pass_seconds"], 1e-9)
    yield f"trainable parameters: {found.trainable_parameters:,}"
    parts = (("weights", fixed.weights), ("gradients in fp32", fixed.gradients), ("optimiser", fixed.optimizer))
    exact = ", ".join(f"{name} {format_bytes(count)}" for name, count in parts)
    total = format_bytes(fixed.total + activations)
    yield f"memory: {exact}, activations about {format_bytes(activations)}; about {total} in all"
    yield f"  activations, an estimate: {found.activations_how}"
    yield f"time: about {_format_duration(seconds)}, {speed:,.0f} tokens a second with {measured['threads']:.0f} threads"
    yield f"  an estimate: {found.time_how}"


def print_rate_search(search: "RateSearch", console: "Console") -> None:
    """What the curve says, the curve, and a few of its points."""
    _print_title(
        console, f"Learning rates for {search.base.name}, {search.method}, {search.optimizer}; nothing was trained"
    )
    for line in rate_lines(search):
        _print_line(console, line)
    console.print()
    for line in rate_plot(search):
        _print_line(console, line)
    from rich.table import Table

    table = Table(show_edge=False, pad_edge=False, header_style="bold")
    for name in ("rate", "loss", "smoothed"):
        table.add_column(name, justify="right", no_wrap=True)
    stride = math.ceil(len(search.points) / MAX_TABLE_ROWS)
    for point in search.points[::stride]:
        table.add_row(f"{point.rate:.2e}", f"{point.loss:.4f}", f"{point.smoothed:.4f}")
    console.print()
    console.print(table)


def rate_lines(search: "RateSearch") -> Iterator[str]:
    """The suggestion, the bound, the recipe's own rate, and what the curve does not say."""
    if search.steepest is not None:
        yield f"the loss falls fastest at {search.steepest:.2e}: a rate to start from"
    if search.diverged is not None and search.largest_safe is not None:
        why = "was no number" if search.stopped == "not-finite" else "blew up"
        yield f"the loss {why} after a move at {search.diverged:.2e}; the largest safe rate is a tenth: {search.largest_safe:.2e}"
    yield f"the recipe says {search.learning_rate:.2e}"
    yield from search.notes


def rate_plot(search: "RateSearch") -> list[str]:
    """The smoothed loss over the logarithm of the rate, in characters; ^ marks the steepest place."""
    points = search.points
    low, high = (edge(point.smoothed for point in points) for edge in (min, max))
    first, last = math.log(points[0].rate), math.log(points[-1].rate)
    grid = [[" "] * PLOT_COLUMNS for _ in range(PLOT_ROWS)]
    marks = [" "] * PLOT_COLUMNS
    for point in points:
        column = _plot_cell((math.log(point.rate) - first) / ((last - first) or 1.0), PLOT_COLUMNS)
        grid[_plot_cell((high - point.smoothed) / ((high - low) or 1.0), PLOT_ROWS)][column] = "*"
        marks[column] = "^" if point.rate == search.steepest else marks[column]
    labels = {0: f"{high:.3f}", PLOT_ROWS - 1: f"{low:.3f}"}
    body = [f"{labels.get(at, ''):>9} |{''.join(row)}".rstrip() for at, row in enumerate(grid)]
    ends = f"{points[0].rate:.1e}", f"{points[-1].rate:.1e}"
    axis = [f"{'':>9} +{'-' * PLOT_COLUMNS}", f"{'':>11}{ends[0]}{ends[1]:>{PLOT_COLUMNS - len(ends[0])}}"]
    return [*body, f"{'':>11}{''.join(marks)}".rstrip(), *axis]


def format_bytes(count: float) -> str:
    """Bytes as a person says them, in powers of 1,000."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def _plot_cell(share: float, steps: int) -> int:
    return min(steps - 1, round(share * (steps - 1)))


def _format_lengths(found: "Lengths") -> str:
    return f"least {found.least:,}, median {found.median:,}, 95% {found.p95:,}, most {found.most:,}"


def _row_place(row: "RejectedRow | ShownRow") -> str:
    return f"{row.place.file}:{row.place.line}"


def _format_duration(seconds: float) -> str:
    from tunesmith.cli.progress import format_duration

    return format_duration(seconds) if seconds >= 1 else f"{seconds:.2f} s"


def _print_title(console: "Console", line: str) -> None:
    from rich.text import Text

    console.print()
    console.print(Text(line, style="bold"), soft_wrap=True)


def _print_line(console: "Console", line: str) -> None:
    from rich.text import Text

    console.print(Text(f"  {line}"), soft_wrap=True)
