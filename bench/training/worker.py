"""One run of one arm in a process of its own: `python -m training.worker JOB.json RESULT.json`, in the folder bench/."""

import json
import os
import sys
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from training.arms import Job, job_from
from training.cases import read_case
from training.work import peak_of, timed_peak
from tunesmith.store.versions import code_version

LIBRARIES = ("torch", "transformers", "trl", "peft", "accelerate", "datasets", "flash-attn")


def main() -> None:
    """Run the job; only the side that is measured is imported."""
    job = job_from(json.loads(Path(sys.argv[1]).read_text()))
    torch.set_num_threads(job.threads)
    data = read_case(Path(job.rows))
    run: Any = (
        import_module("training.ours").run_ours
        if job.arm.side == "ours"
        else import_module("training.theirs").run_theirs
    )
    before = os.getloadavg()[0]
    with TemporaryDirectory() as folder:
        result = run(job, data, Path(folder))
    if torch.get_num_threads() != job.threads:
        raise SystemExit(f"the run changed the number of threads from {job.threads} to {torch.get_num_threads()}")
    result["load_average"] = before
    Path(sys.argv[2]).write_text(json.dumps(result | {"versions": versions(), "device": device(job)}))


def versions() -> dict[str, str]:
    """Of everything that decides the speed."""
    found = {"python": sys.version.split()[0], "tunesmith": code_version()}
    for library in LIBRARIES:
        try:
            found[library] = version(library)
        except PackageNotFoundError:
            found[library] = "absent"
    return found


def device(job: Job) -> dict[str, Any]:
    """Name, and FLOP a second of its matrix products: a card's by its data sheet, a CPU's as timed just after the run."""
    if job.device == "cuda":
        name = torch.cuda.get_device_name()
        return {"name": name, "matrix_peak": peak_of(name)}
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = {line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")}
    return {"name": ", ".join(sorted(names)) or "unnamed CPU", "matrix_peak": timed_peak(job)}


if __name__ == "__main__":
    main()
