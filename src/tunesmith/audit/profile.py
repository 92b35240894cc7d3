"""Profile of the rows: lengths, labels, languages, sources, licences and duplicate clusters."""

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
    """`findings` has all findings of the audit; `languages` has the language tag of every prompt, or is None."""
    table = corpus.rows.append_column(
        "spoken", pa.nulls(corpus.rows.num_rows, pa.string()) if languages is None else languages
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
    present = texts.drop_null()
    return summarize_lengths(numpy.asarray(compute.utf8_length(present), dtype=numpy.int64)) if len(present) else None


def _value_counts(values: pa.ChunkedArray) -> dict[str, int]:
    """Counts of the most frequent values, highest first, then the total of all others under ""."""
    counts = [(pair["values"], pair["counts"]) for pair in values.drop_null().value_counts().to_pylist()]
    ordered = sorted(counts, key=lambda pair: (-pair[1], pair[0]))
    rest = sum(count for _, count in ordered[MAX_LISTED_VALUES:])
    return {**dict(ordered[:MAX_LISTED_VALUES]), **({"": rest} if rest else {})}


def _cluster_sizes(findings: pa.Table) -> dict[int, int]:
    """{cluster size: number of clusters} from the duplicate findings; a cluster is a kept row and its dropped duplicates."""
    duplicates = findings.filter(compute.is_in(findings.column("rule"), value_set=pa.array(DUPLICATE_CHECKS)))
    copies_of_kept = Counter(compute.struct_field(duplicates.column("other"), "row_id").to_pylist())
    return dict(sorted(Counter(copies + 1 for copies in copies_of_kept.values()).items()))
