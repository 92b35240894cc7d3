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
    return settings.learning_rate * shape
