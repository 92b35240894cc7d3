"""Threads: a count that the same recipe gets on the same machine at any hour, since another count changes bits.

Sums are added in another order with another number of threads. So the count comes, in this order, from `train.threads`, from
the environment (TORCH_NUM_THREADS, else OMP_NUM_THREADS), or from the cores that this process may use. It is kept in the
state: a resumed run, and the evaluation of what was trained, take the count of the run. What the cores are worth at the
moment is measured and told, and decides nothing.
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
"""On Linux: microseconds of processor time, and of which period, that this container may use; `max` where it may use all."""

DEFAULT_MAX_THREADS: Final = 16
"""Threads at most unless somebody asks for more: beyond that a small model waits longer for its threads than it computes."""

MEASURE_SECONDS: Final = 0.4
"""After this the measurement takes no further product."""

PRODUCT_SIZE: Final = 768
"""Rows and columns of the product: about 0.9 GFLOP, some 20 to 40 ms on one core."""

MAX_SLOWDOWN: Final = 1.15
"""Fewer threads would do when they need at most this many times the quickest."""


@dataclass(frozen=True)
class ThreadChoice:
    """The count, who chose it, the cores this process may use, and the work they deliver in cores; None: not measured.

    `enough` is the fewest threads that were about as quick as the quickest when it was measured.
    """

    count: int
    chosen_by: Literal["recipe", "environment", "machine"]
    nominal: int
    effective: float | None = None
    enough: int | None = None

    def measured(self) -> dict[str, float]:
        """For the report."""
        found = {"nominal_cores": float(self.nominal)}
        return found if self.effective is None else found | {"effective_cores": self.effective}

    def told(self) -> str:
        """One line for whoever waits."""
        if self.chosen_by != "machine":
            return f"threads: {self.count}, as set in the {self.chosen_by}"
        worth = "" if self.effective is None else f", worth {self.effective:.1f} at the moment"
        fewer = self.enough is not None and self.enough < self.count
        hint = f"; train.threads: {self.enough} would be about as quick now" if fewer else ""
        return f"threads: {self.count}; cores: {self.nominal}{worth}{hint}"


def choose_threads(wanted: int | None) -> ThreadChoice:
    """The threads of a recipe that asks for `wanted`; nothing is measured, so the answer does not depend on the load.

    Raises Misuse when the environment's wish is no count.
    """
    nominal = _usable_cores()
    if wanted is not None:
        return ThreadChoice(wanted, "recipe", nominal)
    wish = _requested_threads()
    if wish is not None:
        return ThreadChoice(wish, "environment", nominal)
    return ThreadChoice(min(nominal, DEFAULT_MAX_THREADS), "machine", nominal)


def set_threads(wanted: int | None) -> None:
    """Let torch compute with the threads of a recipe that asks for `wanted`."""
    torch.set_num_threads(choose_threads(wanted).count)


def measure_threads(wanted: int | None, clock: Clock) -> ThreadChoice:
    """`count_threads` and, where the machine decides, what its cores are worth now; that takes about half a second."""
    found = choose_threads(wanted)
    if found.chosen_by != "machine":
        return found
    seconds = time_products(candidate_counts(found.count), clock)
    return ThreadChoice(found.count, "machine", found.nominal, effective_cores(seconds), fewest_fast_threads(seconds))


def candidate_counts(cores: int) -> tuple[int, ...]:
    """The counts to try, the largest first: all cores, then powers of two below."""
    powers = [1 << power for power in range(cores.bit_length()) if 1 << power < cores]
    return (cores, *reversed(powers))


def fewest_fast_threads(seconds: Mapping[int, float]) -> int | None:
    """The fewest threads that need at most CLOSE times the least seconds; None when a count took no time or none was tried."""
    if not seconds or min(seconds.values()) <= 0.0:
        return None
    bound = MAX_SLOWDOWN * min(seconds.values())
    return min(count for count, taken in seconds.items() if taken <= bound)


def effective_cores(seconds: Mapping[int, float]) -> float | None:
    """How many times quicker the quickest count is than one thread; None without a time for one."""
    if 1 not in seconds or min(seconds.values()) <= 0.0:
        return None
    return round(seconds[1] / min(seconds.values()), 2)


def time_products(
    counts: tuple[int, ...], clock: Clock, product: Callable[[], object] | None = None
) -> dict[int, float]:
    """Least seconds of one matrix product for every count, in rounds over all counts so that a passing load meets them alike.

    Every count is tried once at least, whatever it takes. torch's count is left as it was.
    """
    work = product or _matrix_product()
    before = torch.get_num_threads()
    least: dict[int, float] = {}
    begun = clock.seconds()
    try:
        while not least or (len(counts) > 1 and clock.seconds() - begun < MEASURE_SECONDS):
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
    """A matrix product that draws no randomness: the streams of the run stay as they are."""
    matrix = torch.linspace(-1.0, 1.0, PRODUCT_SIZE * PRODUCT_SIZE).reshape(PRODUCT_SIZE, PRODUCT_SIZE)

    def multiply() -> torch.Tensor:
        with torch.no_grad():
            return matrix @ matrix

    return multiply


def _usable_cores() -> int:
    """Cores that this process may use: its affinity, and what a container's quota comes to in whole cores."""
    try:
        cores = len(os.sched_getaffinity(0))
    except AttributeError:  # only Linux tells which cores a process may use
        cores = os.cpu_count() or 1
    return max(1, min(cores, _quota_cores() or cores))


def _quota_cores() -> int | None:
    """Whole cores of a container's quota; None without one."""
    try:
        share, period = CGROUP_QUOTA_FILE.read_text().split()
        return max(1, floor(int(share) / int(period)))
    except (OSError, ValueError):
        return None


def _requested_threads() -> int | None:
    for name in THREAD_VARIABLES:
        said = process.environment(name)
        if said is None or not said.strip():
            continue
        first = said.split(",")[0].strip()
        if not first.isdecimal() or int(first) == 0:
            raise Misuse(f"{name} is not a number of threads: {said!r}", where="environment", hint="unset it, or set 1")
        return int(first)
    return None
