"""Threads: how many are worth having here. Two virtual cores can deliver the work of one, and a busy machine less.

The count is taken in this order: what the user set (TORCH_NUM_THREADS, else OMP_NUM_THREADS); the fewest threads that come
close to the quickest in a short measurement; torch's own count where nothing could be measured. It is taken once, at step 0:
another count sums in another order and changes bits, so a resumed run takes the count of its state.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Literal

from tunesmith import process
from tunesmith.errors import Misuse
from tunesmith.ports import Clock

process.prepare()

import torch  # noqa: E402

WISHES: Final = ("TORCH_NUM_THREADS", "OMP_NUM_THREADS")
SECONDS: Final = 0.4
"""After this the measurement takes no further product."""

SIZE: Final = 768
"""Rows and columns of the product: about 0.9 GFLOP, some 20 to 40 ms on one core."""

CLOSE: Final = 1.15
"""Fewer threads are taken when they need at most this many times the quickest: a core that adds less is better left alone,
and a choice between counts that differ by more than the noise comes out the same the next time."""


@dataclass(frozen=True)
class Threads:
    """The count, who chose it, the cores this process may run on, and the work they deliver in cores; None: not measured."""

    count: int
    chosen_by: Literal["user", "measurement", "torch"]
    nominal: int
    effective: float | None = None

    def measured(self) -> dict[str, float]:
        """For the report."""
        found = {"nominal_cores": float(self.nominal)}
        return found if self.effective is None else found | {"effective_cores": self.effective}

    def told(self) -> str:
        """One line for whoever waits."""
        if self.effective is None:
            return (
                f"threads: {self.count}, as {'set in the environment' if self.chosen_by == 'user' else 'torch has it'}"
            )
        return f"threads: {self.count}; cores: {self.nominal}, worth {self.effective:.1f}"


def find_threads(clock: Clock) -> Threads:
    """The threads to train with; takes about half a second at most. Raises Misuse when the user's wish is no count."""
    nominal = _nominal()
    wish = _wish()
    if wish is not None:
        return Threads(wish, "user", nominal)
    seconds = measure(candidates(nominal), clock)
    chosen = choose(seconds)
    if chosen is None:
        return Threads(torch.get_num_threads(), "torch", nominal)
    return Threads(chosen, "measurement", nominal, effective_cores(seconds))


def candidates(cores: int) -> tuple[int, ...]:
    """The counts to try, the largest first: all cores, then powers of two below."""
    powers = [1 << power for power in range(cores.bit_length()) if 1 << power < cores]
    return (cores, *reversed(powers))


def choose(seconds: Mapping[int, float]) -> int | None:
    """The fewest threads that need at most CLOSE times the least seconds; None when a count took no time or none was tried."""
    if not seconds or min(seconds.values()) <= 0.0:
        return None
    bound = CLOSE * min(seconds.values())
    return min(count for count, taken in seconds.items() if taken <= bound)


def effective_cores(seconds: Mapping[int, float]) -> float | None:
    """How many times quicker the quickest count is than one thread; None without a time for one."""
    if 1 not in seconds or min(seconds.values()) <= 0.0:
        return None
    return round(seconds[1] / min(seconds.values()), 2)


def measure(counts: tuple[int, ...], clock: Clock, product: Callable[[], object] | None = None) -> dict[int, float]:
    """Least seconds of one matrix product for every count, in rounds over all counts so that a passing load meets them alike.

    Every count is tried once at least, whatever it takes. torch's count is left as it was.
    """
    work = product or _product()
    before = torch.get_num_threads()
    least: dict[int, float] = {}
    begun = clock.seconds()
    try:
        while not least or (len(counts) > 1 and clock.seconds() - begun < SECONDS):
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


def _product() -> Callable[[], object]:
    """A matrix product that draws no randomness: the streams of the run stay as they are."""
    matrix = torch.linspace(-1.0, 1.0, SIZE * SIZE).reshape(SIZE, SIZE)

    def multiply() -> torch.Tensor:
        with torch.no_grad():
            return matrix @ matrix

    return multiply


def _nominal() -> int:
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # only Linux tells which cores a process may use
        return os.cpu_count() or 1


def _wish() -> int | None:
    for name in WISHES:
        said = process.environment(name)
        if said is None or not said.strip():
            continue
        first = said.split(",")[0].strip()
        if not first.isdecimal() or int(first) == 0:
            raise Misuse(f"{name} is not a number of threads: {said!r}", where="environment", hint="unset it, or set 1")
        return int(first)
    return None
