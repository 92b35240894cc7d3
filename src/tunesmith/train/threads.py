"""The number of threads, chosen so that a recipe gets the same number on the same machine whatever the load.

Another number of threads adds in another order and changes bits. The number is `train.threads`; without it, the environment
variable TORCH_NUM_THREADS or OMP_NUM_THREADS; without those, the cores that this process may use. It is kept in the state: a
resumed run, and the evaluation of the model, use the number of the run. How much work the cores deliver at the moment is
measured and printed, but does not change the number.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import floor
from pathlib import Path
from typing import Final, Literal

import torch

from tunesmith import process
from tunesmith.errors import Misuse
from tunesmith.ports import Clock

THREAD_VARIABLES: Final = ("TORCH_NUM_THREADS", "OMP_NUM_THREADS")
CGROUP_QUOTA_FILE: Final = Path("/sys/fs/cgroup/cpu.max")
"""Linux: microseconds of CPU time that this container may use per period, and the period; `max` without a limit."""

DEFAULT_MAX_THREADS: Final = 16
"""Upper limit of the default: with more threads a small model waits longer for them than it computes."""

MEASURE_SECONDS: Final = 0.4
"""After this time the measurement starts no further product."""

PRODUCT_SIZE: Final = 768
"""Rows and columns of the measured matrix product: about 0.9 GFLOP, 20 to 40 ms on one core."""

MAX_SLOWDOWN: Final = 1.15
"""Fewer threads suffice when their time is at most this multiple of the fastest."""


@dataclass(frozen=True)
class ThreadChoice:
    """The number of threads, what chose it, and the cores that this process may use (`nominal`).

    `effective` is the measured speed-up over one thread, and `enough` the smallest number of threads that was about as fast as
    the fastest; both are None when they were not measured.
    """

    count: int
    chosen_by: Literal["recipe", "environment", "machine"]
    nominal: int
    effective: float | None = None
    enough: int | None = None

    def measured(self) -> dict[str, float]:
        """Figures for the report."""
        figures = {"nominal_cores": float(self.nominal)}
        return figures if self.effective is None else figures | {"effective_cores": self.effective}

    def summary(self) -> str:
        """A line for the log."""
        if self.chosen_by != "machine":
            return f"threads: {self.count}, as set in the {self.chosen_by}"
        effective = "" if self.effective is None else f" (effective at the moment: {self.effective:.1f})"
        fewer = self.enough is not None and self.enough < self.count
        hint = f"; `train: {{threads: {self.enough}}}` would be about as fast at the moment" if fewer else ""
        return f"threads: {self.count}; cores: {self.nominal}{effective}{hint}"


def choose_threads(requested: int | None) -> ThreadChoice:
    """Choose the number of threads; `requested` is the recipe's. Nothing is measured, so the choice does not depend on the load.

    Raises Misuse when the environment variable is not a positive integer.
    """
    nominal = _usable_cores()
    if requested is not None:
        return ThreadChoice(requested, "recipe", nominal)
    from_environment = _requested_threads()
    if from_environment is not None:
        return ThreadChoice(from_environment, "environment", nominal)
    return ThreadChoice(min(nominal, DEFAULT_MAX_THREADS), "machine", nominal)


def set_threads(requested: int | None) -> None:
    """Set torch's number of threads to the chosen one; `requested` is the recipe's."""
    torch.set_num_threads(choose_threads(requested).count)


def measure_threads(requested: int | None, clock: Clock) -> ThreadChoice:
    """`choose_threads`, and for the default the effective cores at the moment; measuring takes about half a second."""
    choice = choose_threads(requested)
    if choice.chosen_by != "machine":
        return choice
    seconds = time_products(candidate_counts(choice.count), clock)
    return ThreadChoice(choice.count, "machine", choice.nominal, effective_cores(seconds), fewest_fast_threads(seconds))


def candidate_counts(cores: int) -> tuple[int, ...]:
    """Thread counts to measure, largest first: all cores, then the powers of two below."""
    powers = [1 << power for power in range(cores.bit_length()) if 1 << power < cores]
    return (cores, *reversed(powers))


def fewest_fast_threads(seconds: Mapping[int, float]) -> int | None:
    """The smallest thread count that took at most MAX_SLOWDOWN times the least time; None without usable times."""
    if not seconds or min(seconds.values()) <= 0.0:
        return None
    bound = MAX_SLOWDOWN * min(seconds.values())
    return min(count for count, time in seconds.items() if time <= bound)


def effective_cores(seconds: Mapping[int, float]) -> float | None:
    """The speed-up of the fastest thread count over one thread; None without a time for one thread."""
    if 1 not in seconds or min(seconds.values()) <= 0.0:
        return None
    return round(seconds[1] / min(seconds.values()), 2)


def time_products(
    counts: tuple[int, ...], clock: Clock, product: Callable[[], object] | None = None
) -> dict[int, float]:
    """The least seconds of one matrix product per thread count. Counts alternate, so that a passing load affects all of them.

    Every count is measured at least once, whatever the time. torch's number of threads is restored.
    """
    work = product or _matrix_product()
    before = torch.get_num_threads()
    least: dict[int, float] = {}
    begin = clock.seconds()
    try:
        while not least or (len(counts) > 1 and clock.seconds() - begin < MEASURE_SECONDS):
            for count in counts:
                torch.set_num_threads(count)
                started = clock.seconds()
                work()
                least[count] = min(clock.seconds() - started, least.get(count, float("inf")))
            if min(least.values()) <= 0.0:
                return least
    finally:
        torch.set_num_threads(before)
    return least


def _matrix_product() -> Callable[[], object]:
    """A matrix product that draws no random numbers, so that the random state of the run is unchanged."""
    matrix = torch.linspace(-1.0, 1.0, PRODUCT_SIZE * PRODUCT_SIZE).reshape(PRODUCT_SIZE, PRODUCT_SIZE)

    def multiply() -> torch.Tensor:
        with torch.no_grad():
            return matrix @ matrix

    return multiply


def _usable_cores() -> int:
    """Cores that this process may use: the smaller of its CPU affinity and its container's quota."""
    try:
        cores = len(os.sched_getaffinity(0))
    except AttributeError:  # not available outside Linux
        cores = os.cpu_count() or 1
    return max(1, min(cores, _quota_cores() or cores))


def _quota_cores() -> int | None:
    """The container's CPU quota in whole cores; None without one."""
    try:
        share, period = CGROUP_QUOTA_FILE.read_text().split()
        return max(1, floor(int(share) / int(period)))
    except (OSError, ValueError):
        return None


def _requested_threads() -> int | None:
    for name in THREAD_VARIABLES:
        value = process.environment(name)
        if value is None or not value.strip():
            continue
        first = value.split(",")[0].strip()
        if not first.isdecimal() or int(first) == 0:
            raise Misuse(
                f"{name} is not a number of threads: {value!r}",
                where="environment",
                hint=f"unset {name}, or set it to 1",
            )
        return int(first)
    return None
