"""`tunesmith train RECIPE`, and two looks ahead: `--dry-run` and `--find-rate`."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, TypeVar

import typer

from tunesmith.cli import options, ranks, talk
from tunesmith.cli.options import Places, Wishes
from tunesmith.cli.stage import StageName, check_ahead, run_until, show_reports
from tunesmith.errors import DataError, Misuse, Refused

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

    from tunesmith.artifacts import Lengths, RateSearch, RejectedRow, Report, ShownRow, TrainPreview
    from tunesmith.context import Context
    from tunesmith.recipe import Recipe

R = TypeVar("R", bound="Report")

TRAINED: Final = "bold green underline"
LONG_PIECE: Final = 800
"""Characters of one piece of a row that are shown; the middle of a longer one is left out, and said to be."""

MOST_REJECTED: Final = 20
BAR: Final = 40
PLOT_ROWS, PLOT_COLUMNS = 12, 60
TABLE_ROWS: Final = 12


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
    wishes = Wishes(limit=limit, max_steps=max_steps, again=again, use=use, json=json, quiet=quiet)
    places = Places(store, database, data_root)
    if dry_run and find_rate:
        raise Misuse("two looks ahead at once", hint="give --dry-run or --find-rate")
    if (dry_run or find_rate) and use is not None:
        raise Misuse("a look ahead takes no training report", where="--use", hint="leave it out")
    if dry_run:
        show_dry_run(recipe, places=places, wishes=wishes)
    elif find_rate:
        show_rates(recipe, places=places, wishes=wishes)
    else:
        run_until("train", recipe, places=places, wishes=wishes)


def show_dry_run(path: Path, *, until: StageName = "train", places: Places, wishes: Wishes) -> None:
    """The preview on stdout. Raises what stages up to `until` would refuse, and DataError when rows would stop the training."""

    def look(recipe: "Recipe", context: "Context") -> "TrainPreview":
        from tunesmith import pipeline

        return pipeline.preview(recipe, context, until=until, again=wishes.again)

    preview = look_ahead(path, look, until=until, places=places, wishes=wishes)
    if wishes.json:
        talk.write_data(preview.canonical())
    else:
        write_preview(preview, talk.data_console())
    if preview.rejected:
        first = preview.rejected[0]
        raise DataError(
            f"{len(preview.rejected)} of {preview.rows} rows cannot be trained on; the first: {first.reason}",
            where=_place(first),
            hint="shorten or mend these rows, raise train.max_tokens, or drop them in the audit",
        )


def show_rates(path: Path, *, places: Places, wishes: Wishes) -> None:
    """The range test on stdout."""

    def look(recipe: "Recipe", context: "Context") -> "RateSearch":
        from dataclasses import replace

        from tunesmith import pipeline
        from tunesmith.train import TrainInputs, resolved
        from tunesmith.train.finder import find_rate

        audit = pipeline.run(recipe, context, until="audit", again=wishes.again).audit
        assert audit is not None
        inputs, settings = TrainInputs(audit.train, recipe.base, recipe.task), resolved(recipe.train)
        with context.store.lock("look ahead"):
            return find_rate(inputs, settings, replace(context, seed=settings.seed))

    search = look_ahead(path, look, until="train", places=places, wishes=wishes)
    if wishes.json:
        talk.write_data(search.canonical())
    else:
        write_rates(search, talk.data_console())


def look_ahead(
    path: Path,
    look: "Callable[[Recipe, Context], R]",
    *,
    until: StageName,
    places: Places,
    wishes: Wishes,
) -> R:
    """Audit the rows as a run up to `until` does, then look. The audit is kept as done; of training nothing is."""
    from tunesmith.recipe import Limits, limited, load_recipe

    if ranks.several():
        raise Misuse("a look ahead is the work of one process", hint="start it without torchrun")
    recipe = limited(load_recipe(path), Limits(rows=wishes.limit, steps=wishes.max_steps))
    check_ahead(recipe, until, path, places=places)
    with talk.progress(quiet=wishes.quiet) as progress:
        progress.say(f"{recipe.name}: audit, then a look ahead")
        from tunesmith import pipeline

        context = pipeline.open_context(
            path, store=places.store, database=places.database, data_root=places.data_root, progress=progress
        )
        try:
            return look(recipe, context)
        except Refused:
            from tunesmith.cli.stored import refused_reports

            show_reports(refused_reports(recipe.name, context.store), wishes=wishes)
            raise


def write_preview(preview: "TrainPreview", console: "Console") -> None:
    """The preview for a person: first what would be trained, then how much of it, then what it takes."""
    found = preview
    _title(console, f"Dry run: {found.base.name}, {found.method}, {found.objective}; no step was taken")
    _line(
        console,
        f"{found.rows:,} rows read, {len(found.rejected):,} refused, {found.held_back:,} held back; "
        f"{found.sequences:,} sequences of at most {found.window:,} tokens to train on",
    )
    for row in found.examples:
        _title(console, f"Row {_place(row)}: {row.tokens:,} tokens, {row.trained:,} trained")
        console.print(marked(row, styled=console.is_terminal), soft_wrap=True)
    if found.rejected:
        _title(console, f"Refused: {len(found.rejected):,} rows; training stops at the first")
        for line in rejected_lines(found.rejected):
            _line(console, line)
    _title(console, f"Tokens a sequence: {_lengths(found.lengths)}")
    for line in histogram(found.lengths):
        _line(console, line)
    _title(console, f"Trained tokens a sequence: {_lengths(found.trained_lengths)}")
    from tunesmith.cli.run_summary import epochs_in_words

    _title(
        console,
        f"Steps: {found.steps:,}, {epochs_in_words(found.epochs)}; tokens a step: {_lengths(found.step_tokens)}",
    )
    for line in (*token_lines(found), *need_lines(found)):
        _line(console, line)


def marked(row: "ShownRow", *, styled: bool) -> "Text":
    """The row with its trained runs coloured and underlined, or between [[ and ]]; a weight that is not 1 is written."""
    from rich.text import Text

    text = Text()
    for piece in row.pieces:
        shown = cut(piece.text)
        if piece.weight == 0:
            text.append(shown)
            continue
        weight = "" if piece.weight == 1 else f"{piece.weight:g}x "
        text.append(weight)
        text.append(shown if styled else f"[[{shown}]]", style=TRAINED)
    return text


def cut(text: str) -> str:
    """The text as a terminal may show it: its middle left out when it is long, control characters spelled out."""
    half = LONG_PIECE // 2
    if len(text) > LONG_PIECE:
        text = f"{text[:half]} ... {len(text) - 2 * half:,} characters ... {text[-half:]}"
    return "".join(one if one.isprintable() or one in "\n\t" else ascii(one)[1:-1] for one in text)


def rejected_lines(rows: "Sequence[RejectedRow]") -> Iterator[str]:
    """One line a row, the first twenty; then what a cut at the context would have lost."""
    for row in rows[:MOST_REJECTED]:
        cost = f"; a cut would lose {row.lost:,} tokens, {row.lost_trained:,} of them trained" if row.lost else ""
        yield f"{_place(row)}: {row.reason}{cost}"
    if len(rows) > MOST_REJECTED:
        yield f"and {len(rows) - MOST_REJECTED:,} more; --json lists all"
    long = [row for row in rows if row.lost]
    if long:
        lost, trained = sum(row.lost for row in long), sum(row.lost_trained for row in long)
        yield f"too long: {len(long):,} rows; a cut would lose {lost:,} tokens, {trained:,} of them trained"


def histogram(found: "Lengths") -> Iterator[str]:
    """A bar of # per bin; every bin that holds anything has at least one."""
    most = max(one.count for one in found.bins)
    wide = len(f"{found.most:,}")
    for one in found.bins:
        bar = "#" * math.ceil(BAR * one.count / most)
        yield f"{one.low:>{wide},} to {one.high:>{wide},} {bar:<{BAR}} {one.count:,}"


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


def need_lines(found: "TrainPreview") -> Iterator[str]:
    """Memory by part, time, and how the two estimates were made."""
    fixed, measured = found.memory, found.measured
    activations, seconds = measured["activation_bytes"], measured["training_seconds"]
    speed = measured["pass_tokens"] / max(measured["pass_seconds"], 1e-9)
    yield f"trainable parameters: {found.trainable_parameters:,}"
    parts = (("weights", fixed.weights), ("gradients in fp32", fixed.gradients), ("optimiser", fixed.optimizer))
    exact = ", ".join(f"{name} {size(count)}" for name, count in parts)
    yield f"memory: {exact}, activations about {size(activations)}; about {size(fixed.total + activations)} in all"
    yield f"  activations, an estimate: {found.activations_how}"
    yield f"time: about {_duration(seconds)}, {speed:,.0f} tokens a second with {measured['threads']:.0f} threads"
    yield f"  an estimate: {found.time_how}"


def write_rates(search: "RateSearch", console: "Console") -> None:
    """What the curve says, the curve, and a few of its points."""
    _title(console, f"Learning rates for {search.base.name}, {search.method}, {search.optimizer}; nothing was trained")
    for line in rate_lines(search):
        _line(console, line)
    console.print()
    for line in plot(search):
        _line(console, line)
    from rich.table import Table

    table = Table(show_edge=False, pad_edge=False, header_style="bold")
    for name in ("rate", "loss", "smoothed"):
        table.add_column(name, justify="right", no_wrap=True)
    stride = math.ceil(len(search.points) / TABLE_ROWS)
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


def plot(search: "RateSearch") -> list[str]:
    """The smoothed loss over the logarithm of the rate, in characters; ^ marks the steepest place."""
    points = search.points
    low, high = (edge(point.smoothed for point in points) for edge in (min, max))
    first, last = math.log(points[0].rate), math.log(points[-1].rate)
    grid = [[" "] * PLOT_COLUMNS for _ in range(PLOT_ROWS)]
    marks = [" "] * PLOT_COLUMNS
    for point in points:
        column = _step((math.log(point.rate) - first) / ((last - first) or 1.0), PLOT_COLUMNS)
        grid[_step((high - point.smoothed) / ((high - low) or 1.0), PLOT_ROWS)][column] = "*"
        marks[column] = "^" if point.rate == search.steepest else marks[column]
    labels = {0: f"{high:.3f}", PLOT_ROWS - 1: f"{low:.3f}"}
    body = [f"{labels.get(at, ''):>9} |{''.join(row)}".rstrip() for at, row in enumerate(grid)]
    ends = f"{points[0].rate:.1e}", f"{points[-1].rate:.1e}"
    axis = [f"{'':>9} +{'-' * PLOT_COLUMNS}", f"{'':>11}{ends[0]}{ends[1]:>{PLOT_COLUMNS - len(ends[0])}}"]
    return [*body, f"{'':>11}{''.join(marks)}".rstrip(), *axis]


def size(count: float) -> str:
    """Bytes as a person says them, in powers of 1,000."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def _step(share: float, steps: int) -> int:
    return min(steps - 1, round(share * (steps - 1)))


def _lengths(found: "Lengths") -> str:
    return f"least {found.least:,}, median {found.median:,}, 95% {found.p95:,}, most {found.most:,}"


def _place(row: "RejectedRow | ShownRow") -> str:
    return f"{row.place.file}:{row.place.line}"


def _duration(seconds: float) -> str:
    from tunesmith.cli.progress import duration

    return duration(seconds) if seconds >= 1 else f"{seconds:.2f} s"


def _title(console: "Console", line: str) -> None:
    from rich.text import Text

    console.print()
    console.print(Text(line, style="bold"), soft_wrap=True)


def _line(console: "Console", line: str) -> None:
    from rich.text import Text

    console.print(Text(f"  {line}"), soft_wrap=True)
