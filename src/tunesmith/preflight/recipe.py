"""Faults that the recipe and the disk show without any heavy library: data files, metrics, policy, signing key."""

import os
from collections.abc import Iterator
from difflib import get_close_matches
from glob import has_magic, iglob
from pathlib import Path

from tunesmith.errors import Misuse
from tunesmith.preflight.base import base_faults, template_faults
from tunesmith.preflight.fault import Fault, raise_faults
from tunesmith.recipe import Recipe, Requirement, SourceSettings
from tunesmith.recipe.stage_names import STAGE_ORDER, StageName
from tunesmith.scoring.catalogue import metric_class, metric_ids
from tunesmith.scoring.defaults import (
    LABEL_METRICS,
    available_baselines,
    default_metrics,
    has_label_baselines,
    measures_base,
    metric_fits,
)
from tunesmith.trust.keys import load_signer


def check_recipe(recipe: Recipe, *, until: StageName, home: Path, data_root: Path) -> None:
    """Raises RecipeError with every fault that would stop a run up to the stage `until`, as far as recipe and disk show it."""
    raise_faults(recipe_faults(recipe, until=until, home=home, data_root=data_root))


def recipe_faults(recipe: Recipe, *, until: StageName, home: Path, data_root: Path) -> list[Fault]:
    """The faults that concern the stages up to `until`; `home` is the recipe's folder, `data_root` that of --data-root."""
    stages = STAGE_ORDER[: STAGE_ORDER.index(until) + 1]
    faults = [*_data_faults(recipe, home, data_root), *base_faults(recipe, home), *template_faults(recipe, home)]
    if "evaluate" in stages:
        faults += [*_test_data_faults(recipe), *_metric_faults(recipe), *_unused_setting_faults(recipe)]
    if "gate" in stages:
        faults += [fault for at, line in enumerate(recipe.gate) for fault in _requirement_faults(recipe, at, line)]
    if "release" in stages:
        faults += [*_empty_gate_faults(recipe), *_key_faults(recipe, home), *_folder_faults(recipe, home)]
    return faults


def _data_faults(recipe: Recipe, home: Path, data_root: Path) -> Iterator[Fault]:
    sources = [(f"data.train.{at}", source) for at, source in enumerate(recipe.data.train)]
    sources += [(f"data.test.{at}", source) for at, source in enumerate(recipe.data.test)]
    for where, path in ((where, path) for where, source in sources for path in _local_paths(source)):
        if not _file_exists(path, data_root, home):
            hint = "paths are relative to the recipe, or to --data-root"
            yield Fault("no such file", f"{where}: {path}", f"{_file_suggestion(path, data_root, home)}{hint}")


def _local_paths(source: SourceSettings) -> list[str]:
    """The local files that a source names; the path of a Croissant source selects one of its files and is not checked."""
    path = source.croissant or source.path
    return [path.removeprefix("file://")] if path.startswith("file://") or "://" not in path else []


def _file_suggestion(path: str, data_root: Path, home: Path) -> str:
    """`did you mean ...? ` with a file of the same folder whose name is near; empty without one."""
    folders = [(root / path).parent for root in (data_root, home)]
    names = [entry.name for folder in folders if folder.is_dir() for entry in folder.iterdir()]
    near = get_close_matches(Path(path).name, names, n=1)
    return f"did you mean {str(Path(path).with_name(near[0]))!r}? " if near else ""


def _file_exists(path: str, data_root: Path, home: Path) -> bool:
    if any((root / path).exists() for root in (data_root, home)):
        return True
    return has_magic(path) and next(iglob(path, root_dir=data_root, recursive=True), None) is not None


def _test_data_faults(recipe: Recipe) -> Iterator[Fault]:
    if not recipe.data.test and recipe.data.split is None:
        hint = "add a test file, `data: {test: [{path: test.jsonl}]}`, or hold rows out, `data: {split: {test: 0.2}}`"
        yield Fault("there are no test rows to evaluate on", "data.test", hint)


def _metric_faults(recipe: Recipe) -> Iterator[Fault]:
    for at, name in enumerate(recipe.evaluate.metrics):
        where = f"evaluate.metrics.{at}"
        if name not in metric_ids():
            yield Fault(f"unknown metric {name!r}", where, _name_suggestion(name, metric_ids()))
        elif wrong := _metric_misfit(name, recipe):
            yield Fault(wrong, where, f"remove it, or choose from: {', '.join(_possible_metrics(recipe))}")


def _unused_setting_faults(recipe: Recipe) -> Iterator[Fault]:
    """Settings that differ from the default and that the task never reads."""
    evaluate, task = recipe.evaluate, recipe.task.type
    defaults = type(evaluate).model_fields
    if task != "chat" and evaluate.shots not in (0, defaults["shots"].default):
        yield Fault(
            f"task: {task} does not evaluate the base with examples in the prompt", "evaluate.shots", "remove it"
        )
    if task != "tag" and evaluate.entities != defaults["entities"].default:
        yield Fault(f"task: {task} has no entities", "evaluate.entities", "remove it; only task: tag has them")


def _metric_misfit(metric: str, recipe: Recipe) -> str | None:
    """Why a metric cannot be measured on the answers of this task; None when it can."""
    task = recipe.task
    if not metric_fits(metric, task):
        kind = "" if task.labels == "single" else f" with labels: {task.labels}"
        return f"{metric} does not fit task: {task.type}{kind}"
    if metric == "field-accuracy" and not recipe.evaluate.fields:
        return "field-accuracy needs evaluate.fields, which is empty"
    return None


def _possible_metrics(recipe: Recipe) -> list[str]:
    return [name for name in metric_ids() if _metric_misfit(name, recipe) is None]


def _measured_metrics(recipe: Recipe) -> tuple[str, ...]:
    return recipe.evaluate.metrics or default_metrics(recipe.task)


def _requirement_faults(recipe: Recipe, at: int, line: Requirement) -> Iterator[Fault]:
    """A requirement on something that is not measured can never be met."""
    where, metric, measured = f"gate.{at}", line.metric, _measured_metrics(recipe)
    if metric not in metric_ids():
        yield Fault(f"unknown metric {metric!r}", where, _name_suggestion(metric, metric_ids()))
        return
    if metric not in measured:
        usable = [name for name in measured if name in metric_ids()]
        if len(usable) < len(measured):
            # An unknown name of evaluate.metrics is reported already, and may be a typo of this one.
            return
        hint = f"add it to evaluate.metrics, or use a metric that is measured: {', '.join(usable)}"
        yield Fault(f"{metric} is not measured", where, hint)
        return
    reference = line.better_than or line.no_worse_than
    if reference is None:
        yield from _threshold_faults(line, where)
    elif reference == "base":
        if not measures_base(recipe.task):
            hint = f"use at_least or at_most, or compare with {' or '.join(available_baselines(recipe.task))}"
            yield Fault("the base is not measured: without tuning it has no head for this task", where, hint)
    else:
        yield from _baseline_faults(recipe, reference, line, where)


def _threshold_faults(line: Requirement, where: str) -> Iterator[Fault]:
    share = metric_class(line.metric).unit == "share"
    if share and line.at_least is not None and line.at_least > 1:
        hint = f"a share is at most 1; did you mean at_least: {line.at_least / 100:g}?"
        yield Fault(f"{line.metric} can never be at least {line.at_least:g}", where, hint)


def _baseline_faults(recipe: Recipe, reference: str, line: Requirement, where: str) -> Iterator[Fault]:
    possible = available_baselines(recipe.task)
    if reference not in possible:
        hint = f"compare with {' or '.join([*(['base'] if measures_base(recipe.task) else []), *possible])}"
        yield Fault(f"the baseline {reference} does not fit task: {recipe.task.type}", where, hint)
    elif has_label_baselines(recipe.task) and line.metric not in LABEL_METRICS:
        hint = f"use {' or '.join(LABEL_METRICS)}, or compare with base"
        yield Fault(f"{reference} predicts single labels, so {line.metric} is not measured for it", where, hint)
    elif reference not in recipe.evaluate.baselines:
        hint = f"set `evaluate: {{baselines: [{', '.join([*recipe.evaluate.baselines, reference])}]}}`"
        yield Fault(f"{reference} is not among evaluate.baselines, so it is not measured", where, hint)


def _empty_gate_faults(recipe: Recipe) -> Iterator[Fault]:
    if not recipe.gate:
        line = f"`gate: [{{metric: {_measured_metrics(recipe)[0]}, better_than: base}}]`"
        hint = f"add a requirement, e.g. {line}; `tunesmith evaluate` needs no gate and releases nothing"
        yield Fault("the gate is empty; an empty policy never passes", "gate", hint)


def _key_faults(recipe: Recipe, home: Path) -> Iterator[Fault]:
    path = home / recipe.release.key
    if not path.is_file():
        yield Fault(f"signing key not found: {path}", "release.key", f"run `tunesmith init --key {path}` to create one")
        return
    try:
        load_signer(path)
    except (Misuse, OSError) as error:
        what = error.what if isinstance(error, Misuse) else f"cannot be read: {error.strerror}"
        yield Fault(
            f"signing key {path}: {what}",
            "release.key",
            "set another file, or run `tunesmith init --key FILE` to create a key",
        )


def _folder_faults(recipe: Recipe, home: Path) -> Iterator[Fault]:
    folder = home / recipe.release.folder
    nearest = next((path for path in (folder, *folder.parents) if path.exists()), folder)
    if not nearest.is_dir():
        yield Fault(f"{nearest} is a file, not a folder", "release.folder", "set a folder for releases")
    elif not os.access(nearest, os.W_OK):
        yield Fault(f"{nearest} is not writable", "release.folder", "set a folder that you can write to")


def _name_suggestion(name: str, names: tuple[str, ...]) -> str:
    near = get_close_matches(name, names, n=1)
    return f"did you mean {near[0]!r}?" if near else f"valid names: {', '.join(names)}"
