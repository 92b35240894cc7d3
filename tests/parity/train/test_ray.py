"""The same recipe under Ray Train: a Ray of this machine starts two ranks, and the numbers are those of one process.

Runs in a process of its own: Ray opens sockets on the machine's own address and leaves threads behind.
"""

import json
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from tunesmith import train
from tunesmith.artifacts import Example, ModelRef, Row, TrainReport, message
from tunesmith.context import Context, SilentProgress
from tunesmith.data.rows import store_dataset
from tunesmith.errors import DataError, MachineFailure, Misuse, PeerFailed, TunesmithError
from tunesmith.ports import Progress
from tunesmith.recipe import NewBase, TaskSettings, TrainSettings
from tunesmith.store import open_store
from tunesmith.train.distributed.ray_runner import _decode_error, _encode_error, _gpu_per_rank

CONFIG = Path(__file__).parents[2] / "tiny_config.json"
ABSENT = "needs Ray, which is the extra `ray`"
HOW = TrainSettings(method="full", rows_per_step=4, learning_rate=2e-3, max_steps=3, tokens_per_pass=40)


@dataclass
class Seen:
    """Progress of the driver that records every event."""

    begun: list[tuple[str, int | None]] = field(default_factory=list)
    ended: dict[str, int] = field(default_factory=dict)
    noted: list[dict[str, float]] = field(default_factory=list)
    said: list[str] = field(default_factory=list)

    def track(self, items: Iterable[Any], *, label: str, total: int | None = None) -> Iterator[Any]:
        self.begun.append((label, total))
        done = 0
        try:
            for item in items:
                yield item
                done += 1
        finally:
            self.ended[label] = done

    def note(self, numbers: Mapping[str, float]) -> None:
        self.noted.append(dict(numbers))

    def say(self, line: str) -> None:
        self.said.append(line)


def context(folder: Path, progress: Progress | None = None) -> Context:
    return Context(
        store=open_store(folder), data_root=folder, home=folder, seed=5, progress=progress or SilentProgress()
    )


def on(workers: int, strategy: str) -> TrainSettings:
    return HOW.model_copy(update={"runner": "ray", "workers": workers, "strategy": strategy})


def job(made: Context, *, bad: bool = False) -> train.TrainInputs:
    """Sixteen short conversations for a model of two layers made from nothing; a bad one has no answer."""
    (made.home / "config.json").write_text(CONFIG.read_text())
    found = []
    for number in range(16):
        turns = (message("user", f"what is {number} times two"), message("assistant", f"that is {2 * number}"))
        kept = turns[:1] if bad and number == 11 else turns
        found.append(Row(row_id=f"{number:016x}", file="made", line=number + 1, example=Example(messages=kept)))
    base = NewBase(config="config.json", tokenizer={"train": 300}, seed=2)
    return train.TrainInputs(store_dataset("made", found, made.store), base, TaskSettings(type="chat"))


def on_ray(folder: Path) -> None:
    """Train on a Ray of two CPUs, then with a row that cannot be trained and with too many workers."""
    import ray

    ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False)
    seen = Seen()
    made = context(folder, seen)
    said = []
    report = train.run(job(made), on(2, "fsdp"), made)
    told = asdict(seen)
    for bad, workers in ((True, 2), (False, 3)):
        try:
            train.run(job(made, bad=bad), on(workers, "ddp"), made)
        except TunesmithError as error:
            said.append(f"{type(error).__name__}: {error}")
    ray.shutdown()
    (folder / "found.json").write_text(json.dumps({"report": made.store.put(report), "said": said, "told": told}))


@pytest.mark.slow
@pytest.mark.skipif(find_spec("ray") is None, reason=ABSENT)
def test_two_ray_ranks_give_the_report_of_one_process(tmp_path: Path) -> None:
    code = f"import runpy, pathlib; runpy.run_path({__file__!r})['on_ray'](pathlib.Path({str(tmp_path / 'ray')!r}))"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=500, check=False)
    assert ended.returncode == 0, ended.stderr[-3000:]
    found = json.loads((tmp_path / "ray" / "found.json").read_text())
    theirs, mine = context(tmp_path / "ray").store, context(tmp_path / "alone")
    alone = train.run(job(mine), HOW, mine)
    expected = weights(mine, alone.model)
    report = theirs.get(TrainReport, found["report"])
    assert report.measured["ranks"] == 2.0
    assert [point.loss for point in report.curve] == pytest.approx([point.loss for point in alone.curve], rel=1e-5)
    assert report.consumption == alone.consumption
    for name, value in weights(context(tmp_path / "ray"), report.model).items():
        assert float((value - expected[name]).norm()) <= 5e-5 * float(expected[name].norm()), name
    told, last = found["told"], report.curve[-1]
    assert told["begun"] == [["encode rows", 16], ["train", 3]] and told["ended"] == {"encode rows": 16, "train": 3}
    assert (told["noted"][-1]["loss"], told["noted"][-1]["gradient"]) == (last.loss, last.gradient_norm)
    assert told["noted"][-1]["tokens/s"] > 0
    assert [line.partition(":")[0] for line in told["said"]] == ["shared prefixes", "threads"]
    bad_row, too_many = found["said"]
    assert bad_row.startswith("DataError: made:12: row 000000000000000b: no assistant turn")
    assert too_many.startswith("MachineFailure: train.workers: the cluster has 2 CPUs for 3 ranks")


def weights(made: Context, model: ModelRef) -> dict[str, torch.Tensor]:
    return load_file(made.store.checkout(model.tree) / "model.safetensors")


@pytest.mark.skipif(find_spec("ray") is not None, reason="Ray is installed")
def test_without_ray_the_recipe_is_refused(tmp_path: Path) -> None:
    made = context(tmp_path)
    with pytest.raises(Misuse, match="Ray is not installed") as caught:
        train.run(job(made), on(2, "ddp"), made)
    assert caught.value.where == "train.runner"


def test_errors_of_a_rank_pass_through_ray() -> None:
    class Failed(RuntimeError):
        worker_failures: dict[int, Exception]

    error = Failed("Training failed")
    original = DataError("row x: no assistant turn", where="made:1", hint="mend it")
    peer = PeerFailed("another rank failed first", where="rank 0")
    error.worker_failures = {
        1: RuntimeError(f"Traceback\n  ...\nRuntimeError: {_encode_error(original)}"),
        0: _encode_error(peer),
    }
    heard = _decode_error(error)
    assert (type(heard), str(heard)) == (DataError, str(original))
    error.worker_failures = {0: ValueError("a fault\nof ours")}
    assert (type(_decode_error(error)), _decode_error(error).what) == (MachineFailure, "of ours")


def test_either_every_rank_gets_a_gpu_or_none() -> None:
    assert _gpu_per_rank({"CPU": 4.0, "GPU": 2.0}, 2)
    assert not _gpu_per_rank({"CPU": 4.0, "GPU": 1.0}, 2)
    with pytest.raises(MachineFailure, match="the cluster has 0 CPUs for 2 ranks"):
        _gpu_per_rank({}, 2)
