"""Progress of a remote rank on the driver: the same loops, counts, numbers and lines as of a local run."""

import io
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

import pytest
from rich.console import Console

from tunesmith.cli.progress import TerminalProgress
from tunesmith.context import SystemClock
from tunesmith.train.distributed.remote_progress import ProgressMessage, ProgressReplay, RemoteProgress, replay_progress


@dataclass
class Ticks:
    """A clock that advances by `pace` seconds at every reading."""

    pace: float
    at: float = 0.0

    def now(self) -> datetime:
        return datetime(2026, 1, 1, tzinfo=timezone.utc)

    def seconds(self) -> float:
        self.at += self.pace
        return self.at


@dataclass
class Box:
    """A mailbox in memory."""

    lock: Any = field(default_factory=threading.Lock)
    messages: list[ProgressMessage] = field(default_factory=list)
    puts: int = 0

    def put(self, messages: list[ProgressMessage]) -> None:
        with self.lock:
            self.messages.extend(messages)
            self.puts += 1

    def take(self) -> list[ProgressMessage]:
        with self.lock:
            taken, self.messages = self.messages, []
        return taken


@dataclass
class Seen:
    """A Progress that records every event."""

    events: list[Any] = field(default_factory=list)

    def track(self, items: Iterable[Any], *, label: str, total: int | None = None) -> Iterator[Any]:
        self.events.append(("begin", label, total))
        done = 0
        try:
            for done, item in enumerate(items, 1):
                yield item
                self.events.append(("done", label, done))
        finally:
            self.events.append(("end", label))

    def note(self, numbers: Mapping[str, float]) -> None:
        self.events.append(("note", dict(numbers)))

    def say(self, line: str) -> None:
        self.events.append(("say", line))


def run(progress: Any, *, fails: bool = False) -> None:
    """The progress of a run: a line, a loop over rows, and a loop of steps with numbers and an inner loop."""
    progress.say("two threads")
    list(progress.track(iter(range(3)), label="rows", total=3))
    for step in progress.track(range(2), label="train", total=2):
        progress.note({"loss": 1.0 / (step + 1)})
        if fails and step:
            raise KeyError
        for _ in progress.track("ab", label="inner", total=2):
            pass


def relayed(*, pace: float, fails: bool = False) -> list[Any]:
    box, recorder = Box(), Seen()
    if fails:
        with pytest.raises(KeyError):
            run(RemoteProgress(box, Ticks(pace)), fails=True)
    else:
        run(RemoteProgress(box, Ticks(pace)))
    view = ProgressReplay(recorder)
    for message in box.take():
        view.replay(message)
    view.close()
    return recorder.events


@pytest.mark.parametrize("fails", [False, True])
def test_a_slow_remote_run_is_replayed_like_a_local_one(fails: bool) -> None:
    local = Seen()
    if fails:
        with pytest.raises(KeyError):
            run(local, fails=True)
    else:
        run(local)
    remote = relayed(pace=1.0, fails=fails)
    # A loop that is left by an exception ends when its generator goes, which is no moment of ours.
    assert [one for one in remote if one != ("end", "train")] == [
        one for one in local.events if one != ("end", "train")
    ]
    assert remote[-1] == ("end", "train")


def test_a_fast_loop_sends_few_messages_and_ends_with_the_same_counts() -> None:
    box = Box()
    teller = RemoteProgress(box, Ticks(1e-4))
    for step in teller.track(range(10_000), label="rows"):
        teller.note({"step": float(step)})
    assert box.puts < 10
    recorder = Seen()
    view = ProgressReplay(recorder)
    for message in box.take():
        view.replay(message)
    assert [event for event in recorder.events if event[0] == "done"] == [("done", "rows", n) for n in range(1, 10_001)]
    assert recorder.events[0] == ("begin", "rows", 10_000) and recorder.events[-1] == ("end", "rows")
    assert [event for event in recorder.events if event[0] == "note"][-1] == ("note", {"step": 9999.0})


def test_loops_of_a_killed_rank_are_closed() -> None:
    recorder = Seen()
    view = ProgressReplay(recorder)
    for message in (("begin", (1, "train", 5)), ("done", (1, 2)), ("begin", (2, "inner", None))):
        view.replay(message)
    view.close()
    assert recorder.events[-2:] == [("end", "inner"), ("end", "train")]


def shown_by(talk: TerminalProgress, told: Callable[[Any], None]) -> None:
    box = Box()
    with replay_progress(box, talk):
        told(RemoteProgress(box, SystemClock()))


def test_the_command_line_shows_the_progress_of_a_rank() -> None:
    out = io.StringIO()
    talk = TerminalProgress(Console(file=out, force_terminal=False, width=120), Ticks(0.5))

    def told(teller: RemoteProgress) -> None:
        teller.say("shared prefixes: 10 of 20 tokens")
        for _ in teller.track(range(40), label="train"):
            teller.note({"loss": 2.5})

    shown_by(talk, told)
    lines = out.getvalue().splitlines()
    assert lines[0] == "shared prefixes: 10 of 20 tokens"
    assert lines[1].startswith("train: 4/40 (10%)") and lines[-1].startswith("train: 40/40 (100%)")
    assert lines[-1].endswith("; loss 2.5")
    assert talk.displays == []


def test_messages_that_arrive_last_are_shown() -> None:
    recorder = Seen()
    box = Box()
    with replay_progress(box, recorder):
        box.put([("say", "the end")])
    assert recorder.events == [("say", "the end")]
    assert not [one for one in threading.enumerate() if one.name == "tunesmith-relay"]
