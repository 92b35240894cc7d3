"""Containers: data files as numbered records. JSON lines, JSON, CSV, TSV, CoNLL and text, plain or compressed; Parquet, Arrow."""

from tunesmith.data.containers.json_files import ScannedRecord
from tunesmith.data.containers.read_progress import FileProgress, ReadProgress
from tunesmith.data.containers.read_records import read_all_records, scan_records
from tunesmith.data.containers.stream import refuse_missing

__all__ = ["ReadProgress", "FileProgress", "ScannedRecord", "read_all_records", "refuse_missing", "scan_records"]
