"""What every arm is measured by: seconds, processor seconds and the peak of resident memory, after imports and set-up."""

import json
import resource
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter, process_time
from typing import Any


@contextmanager
def measured(answer: dict[str, Any], name: str = "seconds") -> Iterator[None]:
    """Seconds of the block as `name` in the answer, and those of the processor."""
    wall, processor = perf_counter(), process_time()
    yield
    answer[name] = perf_counter() - wall
    answer[f"processor_{name}"] = process_time() - processor


def reply(answer: dict[str, Any]) -> None:
    """Write the answer to the file that the bench named, with the peak of this process and its children in bytes."""
    peaks = (resource.getrusage(who).ru_maxrss * 1024 for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    Path(sys.argv[-1]).write_text(json.dumps(answer | {"peak_bytes": max(peaks)}))


def rows_of(path: str) -> list[dict[str, Any]]:
    """The rows of a file of JSON lines."""
    with open(path, encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]
