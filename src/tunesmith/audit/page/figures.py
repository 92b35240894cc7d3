"""Charts of the audit page: lengths, languages, duplicates, sources, licences and labels of the rows."""

from collections.abc import Mapping
from typing import Final

from tunesmith.artifacts import AuditReport, Lengths, Profile, SplitProfile
from tunesmith.pages import ChartBar, Figure, HistogramColumn, bar_chart, histogram_chart

MAX_BARS: Final = 12
"""Maximum number of bars; all other values share one more bar, and the table below the chart lists everything."""
OTHERS: Final = "all others"
NOT_STATED: Final = "not declared"
UNSURE: Final = "undetermined"


def row_charts(report: AuditReport) -> tuple[Figure, ...]:
    """Charts of the training rows for which the profile has data."""
    profile, train = report.profile, report.profile.train
    charts = (
        _length_chart("Length of prompts", train.prompts),
        None if train.labels else _length_chart("Length of answers", train.completions),
        _language_chart(train),
        _cluster_chart(profile),
        _source_chart(report, train),
        _rights_chart("Licences", "Training rows by licence, as declared.", train.licenses, train, name="Licence"),
        _bar_chart("Labels", "Training rows by label, most frequent first.", train.labels, name="Label"),
    )
    return tuple(figure for figure in charts if figure is not None)


def _length_chart(title: str, lengths: Lengths | None) -> Figure | None:
    if lengths is None or not lengths.bins:
        return None
    items = [HistogramColumn(bin.low, bin.high, bin.count) for bin in lengths.bins]
    detail = f"in characters: from {lengths.least:,} to {lengths.most:,}, median {lengths.median:,}"
    return Figure(
        title,
        f"Characters, from {lengths.least:,} to {lengths.most:,}; 95% have at most {lengths.p95:,}.",
        histogram_chart(
            items,
            label=f"Histogram of the {title.lower()} {detail}",
            marked=(lengths.median, f"median {lengths.median:,}"),
        ),
        ("Characters", "Rows"),
        tuple((_range(bin.low, bin.high), f"{bin.count:,}") for bin in lengths.bins),
    )


def _language_chart(train: SplitProfile) -> Figure | None:
    """Rows by BCP 47 tag; undetermined (`und`) comes last."""
    undetermined = train.languages.get("und", 0)
    determined = {tag: count for tag, count in train.languages.items() if tag != "und"}
    caption = "Training rows by detected language of the prompt."
    return _bar_chart(
        "Languages", caption, {**determined, **({UNSURE: undetermined} if undetermined else {})}, name="Language"
    )


def _cluster_chart(profile: Profile) -> Figure | None:
    counts = {f"{size:,} rows alike": groups for size, groups in sorted(profile.clusters.items())}
    caption = "Groups of training rows that are identical or nearly identical."
    return _bar_chart("Groups of duplicates", caption, counts, name="Size of the group", what="Groups", ordered=True)


def _source_chart(report: AuditReport, train: SplitProfile) -> Figure | None:
    if train.sources:
        return _rights_chart("Sources", "Training rows by source, as declared.", train.sources, train, name="Source")
    files = {source.path: source.rows for source in report.sources if source.split == "train"}
    return _bar_chart("Files", "Training rows by file.", files, name="File") if len(files) > 1 else None


def _rights_chart(
    title: str, caption: str, counts: Mapping[str, int], train: SplitProfile, *, name: str
) -> Figure | None:
    missing = train.rows - sum(counts.values())
    return _bar_chart(title, caption, {**counts, **({NOT_STATED: missing} if missing > 0 else {})}, name=name)


def _bar_chart(
    title: str, caption: str, counts: Mapping[str, int], *, name: str, what: str = "Rows", ordered: bool = False
) -> Figure | None:
    """The most frequent values as bars, all others as one; None when there are none. `ordered` keeps the given order."""
    counted = [(value, count) for value, count in counts.items() if value and count]
    if not counted:
        return None
    if not ordered:
        counted.sort(key=lambda pair: (-pair[1], pair[0]))
    largest, rest_count = counted[:MAX_BARS], sum(count for _, count in counted[MAX_BARS:]) + counts.get("", 0)
    bars_shown = [*largest, *([(OTHERS, rest_count)] if rest_count else [])]
    description = "; ".join(f"{value} {count:,}" for value, count in bars_shown)
    table_rows = [*counted, *([(OTHERS, counts[""])] if counts.get("") else [])]
    chart = bar_chart(
        [
            ChartBar(_shorten(value), count, f"{count:,}", strong=value not in (OTHERS, NOT_STATED, UNSURE))
            for value, count in bars_shown
        ],
        top=max(count for _, count in bars_shown),
        label=f"Bar chart, {title.lower()}: {description}",
    )
    return Figure(title, caption, chart, (name, what), tuple((value, f"{count:,}") for value, count in table_rows))


def _range(low: int, high: int) -> str:
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


def _shorten(value: str, length: int = 38) -> str:
    """The value, with the middle cut out if it is longer than `length`."""
    return value if len(value) <= length else f"{value[: length // 2]}…{value[-(length // 2 - 1) :]}"
