"""The stages as a table: for each its report, what its content key covers, how it runs, and what it adds to the lineage."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

from tunesmith import audit, evaluate, release, train
from tunesmith.artifacts import AuditReport, EvaluationReport, GateReport, ReleaseReport, Report, TrainReport, digest_of
from tunesmith.context import Context
from tunesmith.data.sources import fingerprint
from tunesmith.lineage.record import record_dataset, record_release, record_training
from tunesmith.models.bases.prepare import prepare_base, template_text
from tunesmith.models.reader import open_reader
from tunesmith.pipeline.look_ahead import look_ahead
from tunesmith.recipe import NewBase, Recipe
from tunesmith.recipe.stage_names import StageName

R = TypeVar("R", bound=Report)


@dataclass(frozen=True)
class RunResult:
    """What a run has so far: a report for each finished stage, which ones were reused, seconds by stage, the HTML page."""

    audit: AuditReport | None = None
    train: TrainReport | None = None
    evaluation: EvaluationReport | None = None
    gate: GateReport | None = None
    release: ReleaseReport | None = None
    reused: tuple[str, ...] = ()
    seconds: dict[str, float] = field(default_factory=dict)
    page: Path | None = None


@dataclass(frozen=True)
class RunSettings:
    """What stays fixed during a run.

    `again` runs every stage, whatever the ledger holds. `use` is the digest of a training report that replaces the train
    stage. `started` is the time of the run in ISO 8601.
    """

    recipe: Recipe
    context: Context
    run_id: str
    started: str
    until: StageName
    again: bool = False
    use: str | None = None


def _nothing_to_adopt(settings: RunSettings, result: RunResult) -> None:
    """The stage cannot be replaced by a report made elsewhere."""


def _nothing_to_record(settings: RunSettings, result: RunResult) -> None:
    """The stage adds nothing to the lineage."""


@dataclass(frozen=True)
class Stage(Generic[R]):
    """One stage.

    `field` names its report in RunResult. `key_parts` is what its content key covers beside code and library versions.
    `record` adds to the lineage; it is idempotent. `adopt` gives a report that was made elsewhere, or None. A resumable
    stage is skipped where its content key is in the ledger; release finds its existing version by itself.
    """

    name: StageName
    field: str
    report: type[R]
    key_parts: Callable[[RunSettings, RunResult], dict[str, Any]]
    execute: Callable[[RunSettings, RunResult, str], R]
    record: Callable[[RunSettings, RunResult], None] = _nothing_to_record
    adopt: Callable[[RunSettings, RunResult], R | None] = _nothing_to_adopt
    resumable: bool = True


def audit_key(settings: RunSettings, result: RunResult) -> dict[str, Any]:
    """The bytes of data and reference files, the settings that decide what is found, and the base that counts tokens."""
    recipe, context = settings.recipe, settings.context
    return {
        "files": fingerprint(recipe.data, context),
        "references": {file.name: file.sha256 for file in audit.check_references(recipe.audit, context)},
        "settings": recipe.audit.model_dump(mode="json"),
        "data": recipe.data.model_dump(mode="json"),
        "task": recipe.task.model_dump(mode="json"),
        "base": base_key(recipe, context),
        "max_tokens": recipe.train.max_tokens,
        "objective": recipe.train.objective,
    }


def run_audit(settings: RunSettings, result: RunResult, key: str) -> AuditReport:
    """Audit the rows. Raises RecipeError, before any row is read, for what the base's files and config do not allow."""
    recipe, context = settings.recipe, settings.context
    reader = open_reader(recipe.base, recipe.task, context, train=recipe.train)
    return audit.run(recipe.data, recipe.audit, context, task=recipe.task, again=settings.again, reader=reader)


def record_audit(settings: RunSettings, result: RunResult) -> None:
    """Lineage: the rows of both data sets."""
    audited = _audited(result)
    for dataset in (audited.train, audited.test):
        if dataset is not None:
            record_dataset(dataset, settings.context.store)


def train_key(settings: RunSettings, result: RunResult) -> dict[str, Any]:
    """The clean rows, the base, the settings and the task."""
    recipe = settings.recipe
    return {
        "dataset": _audited(result).train.rows_digest,
        "base": base_key(recipe, settings.context),
        "settings": recipe.train.model_dump(mode="json"),
        "task": recipe.task.model_dump(mode="json"),
    }


def run_train(settings: RunSettings, result: RunResult, key: str) -> TrainReport:
    """Train, after every later stage up to `until` was checked for what it would refuse."""
    look_ahead(settings.recipe, _audited(result), settings.context, until=settings.until)
    return train.run(_train_inputs(settings, result), settings.recipe.train, settings.context)


def adopt_training(settings: RunSettings, result: RunResult) -> TrainReport | None:
    """The training report named by `use`, after a check that it was made from the same rows, settings and task."""
    if settings.use is None:
        return None
    inputs = _train_inputs(settings, result)
    return train.reuse_report(settings.use, inputs, settings=settings.recipe.train, context=settings.context)


def record_trained(settings: RunSettings, result: RunResult) -> None:
    """Lineage: which rows each step of the training consumed."""
    record_training(_trained(result), _audited(result).train, settings.context.store, run_id=settings.run_id)


def evaluate_key(settings: RunSettings, result: RunResult) -> dict[str, Any]:
    """Tuned model, base, precision, both data sets, the settings and the task."""
    trained, audited = _trained(result), _audited(result)
    return {
        "model": trained.model.tree,
        "base": trained.base.tree,
        "precision": trained.precision,
        "train": audited.train.rows_digest,
        "test": None if audited.test is None else audited.test.rows_digest,
        "settings": settings.recipe.evaluate.model_dump(mode="json"),
        "task": settings.recipe.task.model_dump(mode="json"),
    }


def run_evaluate(settings: RunSettings, result: RunResult, key: str) -> EvaluationReport:
    """Score the tuned model, its base and the baselines on the test rows."""
    audited, recipe = _audited(result), settings.recipe
    inputs = evaluate.EvaluateInputs(_trained(result), audited.train, audited.test, recipe.task)
    return evaluate.run(inputs, recipe.evaluate, settings.context)


def gate_key(settings: RunSettings, result: RunResult) -> dict[str, Any]:
    """The evaluation report and the policy."""
    return {
        "evaluation": _evaluated(result).digest(),
        "policy": [requirement.model_dump(mode="json") for requirement in settings.recipe.gate],
    }


def run_gate(settings: RunSettings, result: RunResult, key: str) -> GateReport:
    """A verdict for every requirement of the policy."""
    return release.run_gate(settings.recipe.gate, _evaluated(result), settings.context)


def release_key(settings: RunSettings, result: RunResult) -> dict[str, Any]:
    """The reports of audit, training and gate, and the whole recipe."""
    assert result.gate is not None
    return {
        "audit": _audited(result).digest(),
        "train": _trained(result).digest(),
        "gate": result.gate.digest(),
        "recipe": settings.recipe.model_dump(mode="json"),
    }


def run_release(settings: RunSettings, result: RunResult, key: str) -> ReleaseReport:
    """Write, sign and log the release folder. The same content key gives the version that exists."""
    assert result.gate is not None
    inputs = release.ReleaseInputs(
        recipe=settings.recipe,
        audit=_audited(result),
        train=_trained(result),
        evaluation=_evaluated(result),
        gate=result.gate,
        content_key=key,
        started=settings.started,
    )
    return release.run(inputs, settings.recipe.release, settings.context)


def record_released(settings: RunSettings, result: RunResult) -> None:
    """Lineage: which training the release holds."""
    assert result.release is not None
    record_release(result.release, settings.context.store)


STAGES: tuple[Stage[Any], ...] = (
    Stage("audit", "audit", AuditReport, audit_key, run_audit, record_audit),
    Stage("train", "train", TrainReport, train_key, run_train, record_trained, adopt=adopt_training),
    Stage("evaluate", "evaluation", EvaluationReport, evaluate_key, run_evaluate),
    Stage("gate", "gate", GateReport, gate_key, run_gate),
    Stage("release", "release", ReleaseReport, release_key, run_release, record_released, resumable=False),
)


def base_key(recipe: Recipe, context: Context) -> Any:
    """What identifies a base before any heavy work: the digest of its files, or settings and config of a new one."""
    base, template = recipe.base, recipe.task.chat_template
    if not isinstance(base, NewBase):
        return prepare_base(base, recipe.task, context, train=recipe.train).tree
    path = context.home / base.config
    config = digest_of(path.read_bytes()) if path.is_file() else "missing"
    text = None if template is None else digest_of(template_text(template, context).encode())
    tokens = list(recipe.train.add_tokens)
    return {"new": base.model_dump(mode="json"), "config": config, "chat_template": text, "add_tokens": tokens}


def _train_inputs(settings: RunSettings, result: RunResult) -> train.TrainInputs:
    return train.TrainInputs(_audited(result).train, settings.recipe.base, settings.recipe.task)


def _audited(result: RunResult) -> AuditReport:
    assert result.audit is not None
    return result.audit


def _trained(result: RunResult) -> TrainReport:
    assert result.train is not None
    return result.train


def _evaluated(result: RunResult) -> EvaluationReport:
    assert result.evaluation is not None
    return result.evaluation
