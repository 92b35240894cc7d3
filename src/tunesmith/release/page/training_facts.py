"""Training facts in words: savings from prefix sharing, machine speed, watcher findings."""

from dataclasses import dataclass

from tunesmith.artifacts import TrainReport
from tunesmith.release import wording


@dataclass(frozen=True)
class WatcherNotice:
    """One finding of a watcher."""

    watcher: str
    message: str


def prefix_saving(train: TrainReport) -> str | None:
    """Tokens computed with prefix sharing out of tokens read. None if not counted."""
    if train.distinct_tokens == 0:
        return None
    if train.distinct_tokens >= train.tokens:
        return "none: every token that was read was computed"
    computed, read = wording.format_count(train.distinct_tokens), wording.format_count(train.tokens)
    times = train.tokens / train.distinct_tokens
    return f"{computed} of {read} tokens were computed, {times:.1f} times fewer: what rows begin with in common is computed once"


def machine_speed(train: TrainReport) -> str | None:
    """Speed, threads and cores, as far as measured. None if nothing was measured."""
    facts = train.measured
    parts = []
    if "tokens_per_second" in facts:
        parts.append(f"{wording.format_count(round(facts['tokens_per_second']))} tokens a second")
    if "nominal_cores" in facts:
        effective = f", which do the work of {facts['effective_cores']:.1f}" if "effective_cores" in facts else ""
        cores = wording.count_noun(round(facts["nominal_cores"]), "core")
        parts.append(f"{wording.count_noun(train.threads, 'thread')} on {cores}{effective}")
    return "; ".join(parts) or None


def watcher_notices(train: TrainReport) -> tuple[WatcherNotice, ...]:
    """Watcher findings in step order, then a notice about slow periods of the machine."""
    notices = [WatcherNotice(finding.watcher, f"step {finding.step}: {finding.message}") for finding in train.watch]
    slow = train.measured.get("slow_windows", 0.0)
    if slow:
        measured = train.measured
        slowest = wording.format_count(round(measured["slowest_window_tokens_per_second"]))
        median = wording.format_count(round(measured["median_window_tokens_per_second"]))
        notices.append(
            WatcherNotice(
                "throughput",
                f"step {measured['slowest_window_step']:.0f}: the machine computed {slowest} tokens a second, and {median} as "
                f"a rule; it was under half of its usual speed in {slow:.0f} of {measured['windows']:.0f} stretches",
            )
        )
    return tuple(notices)
