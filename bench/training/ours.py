"""Our arm: the project's own loop, called as the train stage calls it."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

from training.arms import Job
from training.cases import Data, facts
from training.meter import Meter
from training.models import build_model, context_in, load_tokenizer, settings_of
from tunesmith.models.packed import check_packable
from tunesmith.train.loop import TrainingPlan, run_loop
from tunesmith.train.setup import decide_sharing

T = TypeVar("T")


class Marks:
    """The loop's progress: tells the meter when a step is over and keeps what the run says."""

    def __init__(self) -> None:
        self.meter: Meter | None = None
        self.said: list[str] = []

    def track(self, items: Iterable[T], *, label: str, total: int | None = None) -> Iterator[T]:
        assert self.meter is not None
        self.meter.begin()
        for item in items:
            yield item
            self.meter.step_done()

    def note(self, numbers: Mapping[str, float]) -> None:
        return None

    def say(self, line: str) -> None:
        self.said.append(line)


def run_ours(job: Job, data: Data, folder: Path) -> dict[str, Any]:
    """Losses of every step, readings of the meter, and what went through."""
    marks = Marks()
    context = context_in(folder, progress=marks)
    model = build_model(job, context)
    meter = marks.meter = Meter(model, device=job.device, warm_up=job.warm_up)
    size = data.rows_per_step
    steps = [list(range(step * size, (step + 1) * size)) for step in range(data.steps)]
    settings = settings_of(job)
    tokenizer = load_tokenizer()
    check_packable(model, tokenizer)
    share = decide_sharing(model, tokenizer, settings=settings, context=context).on
    plan = TrainingPlan(rows=data.rows, steps=steps, validation=[], key="bench", folder=folder / "run", share=share)
    state = run_loop(model, plan, settings=settings, context=context)
    if len(meter.seconds) != data.steps:
        raise SystemExit(f"the loop showed {len(meter.seconds)} steps through context.progress.track, not {data.steps}")
    measured = [facts(rows) for rows in data.step_rows()[job.warm_up :]]
    return meter.readings() | {
        "losses": [point.loss for point in state.curve],
        "rows": [one["rows"] for one in measured],
        "tokens": [one["tokens"] for one in measured],
        "supervised": [one["supervised"] for one in measured],
        "trunk_tokens": state.distinct_tokens,
        "said": marks.said,
    }
