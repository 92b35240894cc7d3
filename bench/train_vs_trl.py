"""Tunesmith's training loop beside TRL's SFTTrainer: `python bench/train_vs_trl.py`.

Same weights, rows, order, optimiser, precision and number of threads; each arm in a process of its own, in turn, three
times over; medians. Needs `trl` (extra `dev`) and the data folder (`--shared`). What every column means and what was
measured stands in docs/benchmarks.md. Ends with exit code 1 when our arm fails or, in fp32, an equal arm's losses are not ours.
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from datetime import datetime, timezone
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic
from typing import Any

from rich.console import Console
from training.arms import BETAS, CLIP, EPSILON, LEARNING_RATE, WEIGHT_DECAY, Arm, Job, arms_for
from training.cases import CASES, CPU_CASES, Data, facts, write_case
from training.models import MODELS, load_tokenizer
from training.report import group_runs, markdown, show
from training.work import distinct, flop_of_step, separate

BENCH = Path(__file__).resolve().parent
SHARED = BENCH.parents[1] / "shared"


def main() -> int:
    """Parse, run what is not there yet, show."""
    options = parse(sys.argv[1:])
    console = Console(width=None if sys.stdout.isatty() else 200)
    record = start_record(options)
    with TemporaryDirectory() as folder:
        cases = write_cases(options, Path(folder), record)
        for job in wanted(options, cases, Path(folder)):
            if job.key in record["done"] or given_up(job, record):
                continue
            if options.minutes is not None and monotonic() - options.began > options.minutes * 60:
                console.print(f"{options.minutes:g} minutes are over; the same command with --resume does the rest")
                break
            console.print(f"{datetime.now(timezone.utc):%H:%M:%S} {job.key}", highlight=False)
            run = run_job(job, Path(folder), timeout=options.timeout)
            keep(record, job, run, data=cases[job.case], options=options)
    return finish(record, options, console)


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The command line; what depends on the device is filled in."""
    parser = argparse.ArgumentParser(prog="train_vs_trl.py", description="Tunesmith beside TRL")
    add = parser.add_argument
    add("--case", action="append", choices=sorted(CASES), help="only this case; may be given more than once")
    add("--arm", action="append", default=[], help="only this arm; may be given more than once")
    add("--model", action="append", choices=MODELS, help="pebble on a CPU, the Qwen3 shapes on CUDA when left out")
    add("--method", action="append", choices=("full", "lora"), help="full on a CPU, both on CUDA when left out")
    add("--device", choices=("cpu", "cuda"), default="cpu")
    add("--precision", choices=("fp32", "bf16"), help="fp32 on a CPU, bf16 on CUDA when left out")
    add("--steps", type=int, default=6, help="measured steps of a run")
    add("--warm-up", type=int, default=2, help="steps before them that are not measured")
    add("--repeats", type=int, default=3)
    add("--threads", type=int, default=len(os.sched_getaffinity(0)), help="of each arm; every core when left out")
    add("--shared", type=Path, default=SHARED, help="the folder that has data/MANIFEST.tsv")
    add("--json", type=Path, help="write every run here, after each run")
    add("--markdown", type=Path, help="write the block for docs/benchmarks.md here")
    add("--resume", action="store_true", help="keep the runs that the file of --json has already")
    add("--more", action="store_true", help="add --repeats runs to those of --json, at another hour for instance")
    add("--minutes", type=float, help="begin no run after this many minutes")
    add("--timeout", type=float, default=3600.0, help="seconds after which a run is stopped and counts as failed")
    options = parser.parse_args(arguments)
    if min(options.steps, options.warm_up, options.repeats, options.threads) < 1:
        parser.error("--steps, --warm-up, --repeats and --threads must be 1 or more")
    if (options.resume or options.more) and options.json is None:
        parser.error("--resume and --more need --json")
    on_card = options.device == "cuda"
    options.case = options.case or (list(CASES) if on_card else list(CPU_CASES))
    options.model = options.model or (["qwen3-0.6b", "qwen3-1.7b"] if on_card else ["pebble"])
    options.method = options.method or (["lora", "full"] if on_card else ["full"])
    options.precision = options.precision or ("bf16" if on_card else "fp32")
    options.began = monotonic()
    return options


def setup_of(options: argparse.Namespace) -> dict[str, Any]:
    """What two sets of runs must have in common to stand in one table."""
    return {
        "device": options.device,
        "threads": options.threads,
        "steps": options.steps,
        "warm_up": options.warm_up,
        "optimizer": {
            "name": "AdamW, fused",
            "learning_rate": LEARNING_RATE,
            "schedule": "constant",
            "weight_decay": WEIGHT_DECAY,
            "betas": list(BETAS),
            "epsilon": EPSILON,
            "clip": CLIP,
        },
        "precision": options.precision,
    }


def start_record(options: argparse.Namespace) -> dict[str, Any]:
    """A new record, or with --resume or --more the one that is there. Refused when it was made another way."""
    if (options.resume or options.more) and options.json.exists():
        record = json.loads(options.json.read_text())
        if record["setup"] != setup_of(options):
            raise SystemExit(f"{options.json} was made with other settings; give another file, or the same settings")
    else:
        record = {"setup": setup_of(options), "began": f"{datetime.now(timezone.utc):%Y-%m-%d %H:%M} UTC", "runs": []}
        record["cases"] = {}
    record["done"] = [run["key"] for run in record["runs"]]
    options.first = 1 + max((run["job"]["repeat"] for run in record["runs"]), default=0) if options.more else 1
    return record


def write_cases(options: argparse.Namespace, folder: Path, record: dict[str, Any]) -> dict[str, Data]:
    """Token ids of every case in `folder`, and in the record what they are like."""
    tokenizer = load_tokenizer()
    steps = options.warm_up + options.steps
    found = {}
    for name in options.case:
        path = folder / f"{name}.json"
        data = write_case(CASES[name], tokenizer, shared=options.shared, steps=steps, path=path)
        rows = [row for step in data.step_rows() for row in step]
        shared = sum(distinct(step)[0] for step in data.step_rows())
        record["cases"][name] = facts(rows) | {"distinct_tokens": shared, "title": CASES[name].title}
        found[name] = data
    return found


def wanted(options: argparse.Namespace, cases: dict[str, Data], folder: Path) -> Iterator[Job]:
    """Every run, in turn: the arms one after the other, then all of them again."""
    arms = arms_for(options.device, options.arm)
    for model in options.model:
        for method in options.method:
            for case in cases:
                yield from _turns(options, arms, model=model, method=method, case=case, folder=folder)


def _turns(options: argparse.Namespace, arms: Sequence[Arm], **fixed: Any) -> Iterator[Job]:
    folder = fixed.pop("folder")
    for repeat in range(options.first, options.first + options.repeats):
        for arm in arms:
            yield Job(
                arm=arm,
                device=options.device,
                threads=options.threads,
                precision=options.precision,
                warm_up=options.warm_up,
                repeat=repeat,
                rows=str(folder / f"{fixed['case']}.json"),
                **fixed,
            )


def given_up(job: Job, record: dict[str, Any]) -> bool:
    """Whether this arm has failed here before: it would fail again and cost its time again."""
    same = job.key.rsplit("/", 1)[0]
    return any("failed" in run and run["key"].rsplit("/", 1)[0] == same for run in record["runs"])


def run_job(job: Job, folder: Path, *, timeout: float) -> dict[str, Any]:
    """Run in a process of its own; its result, or the last line of what it said before it failed."""
    asked, answered = folder / "job.json", folder / "result.json"
    asked.write_text(json.dumps(job.plain()))
    answered.unlink(missing_ok=True)
    threads = {name: str(job.threads) for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS")}
    command = [sys.executable, "-m", "training.worker", str(asked), str(answered)]
    try:
        ended = subprocess.run(
            command, cwd=BENCH, env=os.environ | threads, capture_output=True, text=True, timeout=timeout, check=False
        )
    except subprocess.TimeoutExpired:
        return {"failed": f"stopped after {timeout:g} s"}
    if ended.returncode or not answered.exists():
        said = [line.strip() for line in ended.stderr.splitlines() if line.strip()]
        return {"failed": (said[-1] if said else f"exit code {ended.returncode}")[:200], "stderr": ended.stderr[-4000:]}
    return {"result": json.loads(answered.read_text())}


def keep(record: dict[str, Any], job: Job, run: dict[str, Any], *, data: Data, options: argparse.Namespace) -> None:
    """Put a run into the record and the record on the disk."""
    if "result" in run:
        run["result"]["matrix_share"] = matrix_share(job, run["result"], data)
    record["runs"].append({"key": job.key, "job": job.plain()} | run)
    if options.json is not None:
        plain = {name: value for name, value in record.items() if name != "done"}
        options.json.write_text(json.dumps(plain, indent=1) + "\n")


def matrix_share(job: Job, result: dict[str, Any], data: Data) -> float | None:
    """Least arithmetic of the measured steps over time and the device's rate; only for arms with the steps of the plan."""
    peak = result["device"]["matrix_peak"]
    if peak is None or not job.arm.equal:
        return None
    count = distinct if job.arm.side == "ours" and job.arm.shared else separate
    work = [
        flop_of_step(job.model, job.method, counts=count(rows), supervised=sum(row.supervised for row in rows))
        for rows in data.step_rows()[job.warm_up :]
    ]
    return None if None in work else sum(filter(None, work)) / sum(result["seconds"]) / peak


def finish(record: dict[str, Any], options: argparse.Namespace, console: Console) -> int:
    """Show all, write the block, and say whether our arm ran and the losses agree."""
    groups = group_runs(record["runs"])
    show(groups, console)
    lines = setting_lines(record)
    for line in lines:
        console.print(line, highlight=False)
    if options.markdown is not None:
        options.markdown.write_text(markdown(groups, lines))
    wrong = [group for group in groups if group.disagreeing or _ours_failed(group)]
    return 1 if wrong else 0


def _ours_failed(group: Any) -> bool:
    return any(line.failed for line in group.lines if line.side == "ours")


def setting_lines(record: dict[str, Any]) -> list[str]:
    """Where, when and with what."""
    setup, optimizer = record["setup"], record["setup"]["optimizer"]
    results = [run["result"] for run in record["runs"] if "result" in run]
    lines = [
        f"{record['began']}; {setup['threads']} threads; {setup['precision']}; {setup['warm_up']} warm-up steps left out, "
        f"{setup['steps']} measured",
        f"{optimizer['name']}: rate {optimizer['learning_rate']:g} ({optimizer['schedule']}), betas {optimizer['betas']}, "
        f"epsilon {optimizer['epsilon']:g}, weight decay {optimizer['weight_decay']:g}, clip {optimizer['clip']:g}",
    ]
    if results:
        loads = [result["load_average"] for result in results]
        lines.append(
            f"{results[0]['device']['name']}; load average before the runs {min(loads):.1f} to {max(loads):.1f}"
        )
        lines.append(", ".join(f"{name} {version[:16]}" for name, version in results[0]["versions"].items()))
    for name, case in record["cases"].items():
        lines.append(
            f"{name}: {case['rows']} rows of {case['shortest']} to {case['longest']} tokens, {case['tokens']:,} in all, "
            f"{case['distinct_tokens']:,} when each step computes what its rows share once, {case['supervised']:,} supervised"
        )
    return lines


if __name__ == "__main__":
    sys.exit(main())
