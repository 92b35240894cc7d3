"""What the rows look like at a glance, from the columns that checks see."""

from collections import Counter
from typing import Final

import numpy
import pyarrow as pa
from pyarrow import compute

from tunesmith.artifacts import Lengths, Profile, SplitProfile
from tunesmith.audit.audit_table import AuditTable
from tunesmith.stats.lengths import summarize_lengths

MAX_LISTED_VALUES: Final = 50
DUPLICATE_CHECKS: Final = ("exact-duplicate", "near-duplicate")


def build_profile(corpus: AuditTable, findings: pa.Table, languages: pa.ChunkedArray | None) -> Profile:
    """`findings` are all of an audit (see `book`); `languages` is the tag of every row's prompt, where somebody looked."""
    table = corpus.table.append_column(
        "spoken", pa.nulls(corpus.table.num_rows, pa.string()) if languages is None else languages
    )
    train, test = (table.filter(compute.equal(table.column("split"), name)) for name in ("train", "test"))
    return Profile(
        train=_split_profile(train),
        test=_split_profile(test) if test.num_rows else None,
        clusters=_cluster_sizes(findings),
    )


def _split_profile(table: pa.Table) -> SplitProfile:
    return SplitProfile(
        rows=table.num_rows,
        prompts=_text_lengths(table.column("prompt")),
        completions=_text_lengths(table.column("completion")),
        labels=_value_counts(table.column("label")),
        languages=_value_counts(table.column("spoken")),
        sources=_value_counts(table.column("source")),
        licenses=_value_counts(table.column("license")),
    )


def _text_lengths(texts: pa.ChunkedArray) -> Lengths | None:
    said = texts.drop_null()
    return summarize_lengths(numpy.asarray(compute.utf8_length(said), dtype=numpy.int64)) if len(said) else None


def _value_counts(values: pa.ChunkedArray) -> dict[str, int]:
    """The most common values in order of their number, then the rest under ""."""
    found = [(pair["values"], pair["counts"]) for pair in values.drop_null().value_counts().to_pylist()]
    ordered = sorted(found, key=lambda pair: (-pair[1], pair[0]))
    rest = sum(count for _, count in ordered[MAX_LISTED_VALUES:])
    return {**dict(ordered[:MAX_LISTED_VALUES]), **({"": rest} if rest else {})}


def _cluster_sizes(findings: pa.Table) -> dict[int, int]:
    """{rows of a cluster: clusters} from what the checks of duplicates found: a kept row and those that go for its sake."""
    marked = findings.filter(compute.is_in(findings.column("rule"), value_set=pa.array(DUPLICATE_CHECKS)))
    kept = Counter(compute.struct_field(marked.column("other"), "row_id").to_pylist())
    return dict(sorted(Counter(count + 1 for count in kept.values()).items()))
