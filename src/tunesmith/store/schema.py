"""The ledger's tables. Lineage stores rows in blocks of sorted keys (see `tunesmith.store.lineage.blocks`), not one per line."""

from typing import Final

import sqlalchemy as sql

METADATA: Final = sql.MetaData()
DIGEST_TYPE: Final = sql.String(80)
NAME_TYPE: Final = sql.String(200)
TIME_TYPE: Final = sql.String(40)
RUN_ID_TYPE: Final = sql.String(32)

RUNS = sql.Table(
    "runs",
    METADATA,
    sql.Column("run_id", RUN_ID_TYPE, primary_key=True),
    sql.Column("recipe", sql.Text, nullable=False),
    sql.Column("started", TIME_TYPE, nullable=False),
    sql.Column("finished", TIME_TYPE),
    sql.Column("outcome", sql.String(20)),
)
STAGES = sql.Table(
    "stages",
    METADATA,
    sql.Column("content_key", DIGEST_TYPE, primary_key=True),
    sql.Column("stage", sql.String(20), nullable=False),
    sql.Column("run_id", RUN_ID_TYPE, nullable=False),
    sql.Column("report", DIGEST_TYPE, nullable=False),
    sql.Column("report_digest", DIGEST_TYPE, nullable=False),
)
SALTS = sql.Table(
    "salts",
    METADATA,
    sql.Column("dataset", NAME_TYPE, primary_key=True),
    sql.Column("salt", sql.LargeBinary, nullable=False),
)
RELEASES = sql.Table(
    "releases",
    METADATA,
    sql.Column("name", NAME_TYPE, primary_key=True),
    sql.Column("version", sql.Integer, primary_key=True),
    sql.Column("content_key", DIGEST_TYPE, nullable=False, unique=True),
    sql.Column("folder", sql.Text, nullable=False),
    sql.Column("created", TIME_TYPE, nullable=False),
)
REFS = sql.Table(
    "refs",
    METADATA,
    sql.Column("name", NAME_TYPE, primary_key=True),
    sql.Column("digest", DIGEST_TYPE, nullable=False),
)

DATASETS = sql.Table(
    "lineage_datasets",
    METADATA,
    sql.Column("number", sql.Integer, primary_key=True),
    sql.Column("container", DIGEST_TYPE, nullable=False, unique=True),
    sql.Column("rows_digest", DIGEST_TYPE, nullable=False),
    sql.Column("name", NAME_TYPE, nullable=False),
    sql.Column("rows", sql.Integer, nullable=False),
    sql.Column(
        "names", sql.Text, nullable=False
    ),  # JSON: names of files, sources and generators, by number in the rows
    sql.Column("erased_by", RUN_ID_TYPE),  # the erasure that deleted the object
)
POSTINGS = sql.Table(
    "lineage_postings",
    METADATA,
    sql.Column("kind", sql.String(10), primary_key=True),  # row, place or subject of a data set; consumed of a training
    sql.Column("owner", sql.Integer, primary_key=True),
    sql.Column("block", sql.Integer, primary_key=True),
    sql.Column("first", sql.LargeBinary, nullable=False),
    sql.Column("last", sql.LargeBinary, nullable=False),
    sql.Column("sorted_keys", sql.LargeBinary, nullable=False),
    sql.Column("payload", sql.LargeBinary, nullable=False),
    sql.Index("lineage_postings_by_key", "kind", "first", "last"),
)
ORIGINS = sql.Table(
    "lineage_origins",
    METADATA,
    sql.Column("owner_kind", sql.String(10), primary_key=True),  # dataset, or training (of the rows it consumed)
    sql.Column("owner", sql.Integer, primary_key=True),
    sql.Column("kind", sql.String(10), primary_key=True),  # source or generator
    sql.Column("name", sql.String(500), primary_key=True),
    sql.Column("rows", sql.Integer, nullable=False),
    sql.Index("lineage_origins_by_name", "kind", "name"),
)
TRAININGS = sql.Table(
    "lineage_trainings",
    METADATA,
    sql.Column("number", sql.Integer, primary_key=True),
    sql.Column("report_digest", DIGEST_TYPE, nullable=False, unique=True),
    sql.Column("run_id", RUN_ID_TYPE, nullable=False),
    sql.Column("dataset", sql.Integer, nullable=False, index=True),
    sql.Column("model", DIGEST_TYPE, nullable=False, index=True),
    sql.Column("recorded", sql.Boolean, nullable=False),  # whether the training has a consumption record
    sql.Column("steps", sql.Integer, nullable=False),
    sql.Column("tokens", sql.BigInteger, nullable=False),
    sql.Column("seconds", sql.Float),
)
PARENTS = sql.Table(
    "lineage_parents",
    METADATA,
    sql.Column("child", DIGEST_TYPE, primary_key=True),
    sql.Column("parent", DIGEST_TYPE, primary_key=True, index=True),
    sql.Column("how", sql.String(10), primary_key=True),  # base, adapter or merged
)
WEIGHTS = sql.Table(
    "lineage_weights",
    METADATA,
    sql.Column("digest", DIGEST_TYPE, primary_key=True),
    sql.Column("model", DIGEST_TYPE, primary_key=True, index=True),
)
LINEAGE_RELEASES = sql.Table(
    "lineage_releases",
    METADATA,
    sql.Column("name", NAME_TYPE, primary_key=True),
    sql.Column("version", sql.Integer, primary_key=True),
    sql.Column("model", DIGEST_TYPE, nullable=False, index=True),
)
TOMBSTONES = sql.Table(
    "tombstones",
    METADATA,
    sql.Column("digest", DIGEST_TYPE, primary_key=True),
    sql.Column("kind", sql.String(20), nullable=False),
    sql.Column("erasure", RUN_ID_TYPE, nullable=False, index=True),
    sql.Column("erased", TIME_TYPE, nullable=False),
    sql.Column("reason", sql.Text, nullable=False),
)
ERASED_MARKS = sql.Table(
    "erased_marks",
    METADATA,
    sql.Column("mark", sql.LargeBinary, primary_key=True),
    sql.Column("erasure", RUN_ID_TYPE, nullable=False),
)
ERASURES = sql.Table(
    "erasures",
    METADATA,
    sql.Column("erasure", RUN_ID_TYPE, primary_key=True),
    sql.Column("state", sql.String(10), nullable=False),  # begun, switched, finished
    sql.Column("started", TIME_TYPE, nullable=False),
    sql.Column("reason", sql.Text, nullable=False),
    sql.Column("rekey", sql.LargeBinary),  # null when finished
    sql.Column("plan", sql.LargeBinary),  # null when finished
    sql.Column("record", DIGEST_TYPE),
)
