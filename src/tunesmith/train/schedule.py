"""Learning-rate schedules: a linear rise, then a fall that would reach `final_rate` of the peak one step after the last."""

import math

from tunesmith.recipe import TrainSettings


def learning_rate(settings: TrainSettings, step: int, steps: int) -> float:
    """The rate of optimiser step `step` (from 0) of `steps`."""
    rising = max(1, round(settings.warmup * steps)) if settings.warmup > 0 else 0
    if step < rising:
        return settings.learning_rate * (step + 1) / rising
    share = (step - rising) / max(1, steps - rising)
    floor = settings.final_rate
    match settings.schedule:
        case "constant":
            shape = 1.0
        case "linear":
            shape = 1.0 - share * (1.0 - floor)
        case "cosine":
            shape = floor + (1.0 - floor) * 0.5 * (1.0 + math.cos(math.pi * share))
        case "stable-decay":
            shape = 1.0 - _decay_progress(step, steps, rising, settings.decay) * (1.0 - floor)
    return settings.learning_rate * shape


def _decay_progress(step: int, steps: int, rising: int, decay: float) -> float:
    """How much of the fall is done: 0 while the rate holds, then a straight line over the last `decay` of the steps.

    A fall longer than what the rise leaves begins where the rise ends. Source: warmup-stable-decay of Hu et al. 2024, arXiv
    2404.06395; the straight line as in Hägele et al. 2024, arXiv 2405.18392.
    """
    falling = max(1, min(round(decay * steps), steps - rising))
    return max(0, step - (steps - falling)) / falling
