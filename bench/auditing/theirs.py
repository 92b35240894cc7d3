"""The arms of others: `theirs.py TOOL ROWS ANSWER`, over rows with a `text`; each tool is run as its own page tells one to.

text-dedup 0.4.0 and datatrove 0.10.1 run with MinHash of word triples in 32 bands of 4, one process, as ours; Presidio 2.2 with
the pattern recognisers that load by default and no language model; detect-secrets 1.5 with its default plugins.
"""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from auditing.meter import measured, reply, rows_of

QUIET: Final = {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1", "DO_NOT_TRACK": "1"}


def text_dedup(rows: str, folder: Path) -> dict[str, Any]:
    """Its command line; the time is that of the whole command, which loads the rows itself."""
    import datasets

    answer: dict[str, Any] = {}
    options = {"path": "json", "data_files": rows, "split": "train", "column": "text", "idx_column": "number"}
    options |= {"ngram": 3, "num_perm": 128, "b": 32, "r": 4, "threshold": 0.5, "min_length": 1, "hash_func": "xxh3"}
    options |= {"num_proc": 1, "output": str(folder / "kept"), "cache_dir": str(folder / "cache"), "batch_size": 10_000}
    words = [word for name, value in options.items() for word in (f"--{name}", str(value))]
    with measured(answer):
        subprocess.run([sys.executable, "-m", "text_dedup.minhash", *words], check=True, capture_output=True)
    kept = datasets.load_from_disk(str(folder / "kept"))
    return answer | {"kept": sorted(kept["number"])}


def datatrove(rows: str, folder: Path) -> dict[str, Any]:
    """Its four MinHash steps, one task each."""
    from datatrove.executor import LocalPipelineExecutor
    from datatrove.pipeline.dedup import (
        MinhashDedupBuckets,
        MinhashDedupCluster,
        MinhashDedupFilter,
        MinhashDedupSignature,
    )
    from datatrove.pipeline.dedup.minhash import MinhashConfig
    from datatrove.pipeline.readers import JsonlReader
    from datatrove.pipeline.writers import JsonlWriter

    config = MinhashConfig(n_grams=3, num_buckets=32, hashes_per_bucket=4)
    reader = JsonlReader(str(Path(rows).parent), glob_pattern=Path(rows).name)
    signatures, buckets, remove = (str(folder / name) for name in ("signatures", "buckets", "remove"))
    steps: list[list[Any]] = [
        [reader, MinhashDedupSignature(signatures, config=config, language="en")],
        [MinhashDedupBuckets(signatures, buckets, config=config)],
        [MinhashDedupCluster(buckets, remove, config=config)],
        [reader, MinhashDedupFilter(remove), JsonlWriter(str(folder / "kept"), compression=None)],
    ]
    answer: dict[str, Any] = {}
    with measured(answer):
        for number, pipeline in enumerate(steps):
            tasks = config.num_buckets if number == 1 else 1
            LocalPipelineExecutor(pipeline, tasks=tasks, workers=1, logging_dir=str(folder / f"log{number}")).run()
    kept = [
        int(row["metadata"]["number"])
        for path in sorted((folder / "kept").glob("*.jsonl"))
        for row in rows_of(str(path))
    ]
    return answer | {"kept": sorted(kept)}


def presidio(rows: str, folder: Path) -> dict[str, Any]:
    """Its analyser with a blank pipeline of spaCy, so that nothing is downloaded."""
    import spacy
    from presidio_analyzer import AnalyzerEngine
    from presidio_analyzer.nlp_engine import NlpEngineProvider

    spacy.blank("en").to_disk(folder / "blank")
    models = [{"lang_code": "en", "model_name": str(folder / "blank")}]
    engine = NlpEngineProvider(nlp_configuration={"nlp_engine_name": "spacy", "models": models}).create_engine()
    analyzer = AnalyzerEngine(nlp_engine=engine, supported_languages=["en"])
    answer: dict[str, Any] = {}
    kinds = []
    with measured(answer):
        for number, row in enumerate(rows_of(rows)):
            found = sorted({hit.entity_type for hit in analyzer.analyze(row["text"], language="en")})
            if found:
                kinds.append((number, found))
    return answer | {"kinds": kinds}


def detect_secrets(rows: str, folder: Path) -> dict[str, Any]:
    """Its scan of a line, with the default plugins."""
    from detect_secrets.core import scan
    from detect_secrets.settings import default_settings

    answer: dict[str, Any] = {}
    kinds = []
    with measured(answer), default_settings():
        for number, row in enumerate(rows_of(rows)):
            found = sorted({secret.type for secret in scan.scan_line(row["text"])})
            if found:
                kinds.append((number, found))
    return answer | {"kinds": kinds}


TOOLS: Final[dict[str, Callable[[str, Path], dict[str, Any]]]] = {
    "text-dedup": text_dedup,
    "datatrove": datatrove,
    "presidio": presidio,
    "detect-secrets": detect_secrets,
}


def main() -> None:
    tool, rows, _ = sys.argv[1:]
    os.environ |= QUIET
    with TemporaryDirectory() as folder:
        reply(TOOLS[tool](rows, Path(folder)) | {"rows": len(rows_of(rows))})


if __name__ == "__main__":
    main()
