"""audit -> train -> evaluate -> gate -> release: the only module that knows the order of the stages.

A stage whose content key is in the ledger is done already; the key covers inputs, settings, code and library versions.
"""

import gzip
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, TypeVar

from tunesmith import audit, evaluate, process, release, train
from tunesmith.artifacts import (
    AuditReport,
    EvaluationReport,
    GateReport,
    ReleaseReport,
    Report,
    TrainPreview,
    TrainReport,
    canonical_bytes,
    digest_of,
)
from tunesmith.context import Context, SilentProgress
from tunesmith.data.sources import fingerprint
from tunesmith.errors import Refused
from tunesmith.lineage.record import record_dataset, record_release, record_training
from tunesmith.models.bases.prepare import prepare_base, template_text
from tunesmith.models.reader import open_reader
from tunesmith.models.reader_protocol import Reader
from tunesmith.ports import Progress
from tunesmith.preflight import check_recipe, raise_faults
from tunesmith.recipe import NewBase, Recipe
from tunesmith.store import open_store
from tunesmith.store.ledger import StageRow
from tunesmith.store.objects import write_atomic
from tunesmith.store.versions import code_version, library_versions

StageName = Literal["audit", "train", "evaluate", "gate", "release"]
ORDER: tuple[StageName, ...] = ("audit", "train", "evaluate", "gate", "release")
R = TypeVar("R", bound=Report)


@dataclass(frozen=True)
class RunResult:
    """The reports of the stages that were run or found done, which of them were found, where the seconds went, the page."""

    audit: AuditReport | None = None
    train: TrainReport | None = None
    evaluation: EvaluationReport | None = None
    gate: GateReport | None = None
    release: ReleaseReport | None = None
    reused: tuple[str, ...] = ()
    seconds: dict[str, float] = field(default_factory=dict)
    page: Path | None = None


def open_context(
    recipe_path: Path,
    *,
    store: Path | None = None,
    database: str | None = None,
    data_root: Path | None = None,
    progress: Progress | None = None,
) -> Context:
    """The context of a recipe file: its folder is home, `.tunesmith/` beside it the store unless another is given."""
    home = recipe_path.resolve().parent
    named = process.environment("TUNESMITH_STORE")
    folder = store or (Path(named) if named else home / ".tunesmith")
    return Context(
        store=open_store(folder, database=database),
        data_root=(data_root or home).resolve(),
        home=home,
        progress=progress or SilentProgress(),
    )


def forget(result: RunResult) -> None:
    """Nobody follows the run."""


def run(
    recipe: Recipe,
    context: Context,
    *,
    until: StageName = "release",
    again: bool = False,
    use: str | None = None,
    report: Callable[[RunResult], None] = forget,
) -> RunResult:
    """Run the stages up to `until`. `again` makes every stage anew and compares nothing with what was stored.

    `use` is the store's digest of a training report that was made elsewhere or by other code: it stands in for the train
    stage if it was made from the same rows, settings and task, and its own provenance says which code made it.
    `report` is told after every stage what there is so far, so that a face can show it when a later stage fails.
    Raises RecipeError, before anything is read, with all that the recipe and the disk show a stage up to `until` would refuse;
    Refused when the audit blocks or the gate does not pass; the reports up to there are kept.
    """
    check_recipe(recipe, until=until, home=context.home, data_root=context.data_root)
    run_id = secrets.token_hex(8)
    started = context.clock.now().isoformat(timespec="seconds")
    recipe = recipe.model_copy(update={"train": train.resolve_precision(recipe.train)})
    context = replace(context, seed=recipe.train.seed)
    with context.store.lock(run_id):
        context.store.ledger.start_run(run_id, recipe=recipe.name, started=started)
        work = _Run(recipe, context, run_id, started, again, use, until, report)
        outcome = "failed"
        try:
            result = work.upto(until)
            outcome = "finished"
            return result
        finally:
            finished = context.clock.now().isoformat(timespec="seconds")
            context.store.ledger.finish_run(run_id, finished=finished, outcome=outcome)


@dataclass(frozen=True)
class _Run:
    """One run's fixed values; each method is one stage by name.

    What becomes of rows is told to the ledger after every stage, also one that was found done: a run may have been killed
    between the two, and what is told twice is known once.
    """

    recipe: Recipe
    context: Context
    run_id: str
    started: str
    again: bool
    use: str | None
    until: StageName
    report: Callable[[RunResult], None]

    def upto(self, until: StageName) -> RunResult:
        result = RunResult()
        for name in ORDER[: ORDER.index(until) + 1]:
            before = self.context.clock.seconds()
            ended = False
            try:
                result = getattr(self, f"_{name}")(result)
                ended = True
            finally:
                if not ended:
                    self.report(replace(result, page=self._page(result)))
            seconds = {**result.seconds, name: round(self.context.clock.seconds() - before, 2)}
            result = replace(result, seconds=seconds)
            self.report(result)
            self._refuse(result, until)
        return replace(result, page=self._page(result))

    def _refuse(self, result: RunResult, until: StageName) -> None:
        """Stop where the audit blocks, or where a release was asked for and the gate did not pass; the page says why."""
        blocks = audit.blocking_findings(result.audit) if result.audit is not None else []
        if result.audit is not None and blocks:
            first = blocks[0]
            place = first.place.file if first.place.line == 0 else f"{first.place.file}:{first.place.line}"
            raise Refused(
                f"the audit blocks: {first.rule}: {first.reason} ({sum(result.audit.blocking.values())} findings that block)",
                where=place,
                hint=f"mend the data, or move the check to another list under `audit:`; see {self._page(result)}",
            )
        if result.gate is not None and result.gate.outcome != "pass" and until == "release":
            raise Refused(
                f"the gate says {result.gate.outcome}: " + "; ".join(_unmet(result.gate)),
                where=self.recipe.name,
                hint=f"nothing was released; see {self._page(result)}",
            )

    def _page(self, result: RunResult) -> Path | None:
        """The HTML report of what there is so far, and the rows that the audit took out, beside the store's objects."""
        if result.audit is None:
            return None
        page = release.render_page(
            self.recipe, result.audit, train=result.train, evaluation=result.evaluation, gate=result.gate
        )
        path = self.context.store.folder / "reports" / f"{self.recipe.name}.html"
        write_atomic(path, page.encode())
        rows = gzip.decompress(self.context.store.objects.get(result.audit.quarantine))
        write_atomic(path.with_suffix(".quarantine.jsonl"), rows)
        return path

    def _audit(self, result: RunResult) -> RunResult:
        recipe = self.recipe
        base, reader = _base_key(recipe, self.context), self._reader()
        parts = {
            "files": fingerprint(recipe.data, self.context),
            "references": {file.name: file.sha256 for file in audit.check_references(recipe.audit, self.context)},
            "settings": recipe.audit.model_dump(mode="json"),
            "data": recipe.data.model_dump(mode="json"),
            "task": recipe.task.model_dump(mode="json"),
            "base": base,
            "max_tokens": recipe.train.max_tokens,
            "objective": recipe.train.objective,
        }
        report, reused = self._stage(
            "audit",
            parts,
            AuditReport,
            lambda _: audit.run(
                recipe.data,
                recipe.audit,
                self.context,
                task=recipe.task,
                again=self.again,
                reader=reader,
            ),
        )
        for dataset in (report.train, report.test):
            if dataset is not None:
                record_dataset(dataset, self.context.store)
        return replace(result, audit=report, reused=(*result.reused, *reused))

    def _reader(self) -> Reader | None:
        """How the base reads rows; what its files and config do not allow is told here, before any row is read."""
        return open_reader(self.recipe.base, self.recipe.task, self.context, train=self.recipe.train)

    def _train(self, result: RunResult) -> RunResult:
        assert result.audit is not None
        recipe, dataset = self.recipe, result.audit.train
        parts = {
            "dataset": dataset.rows_digest,
            "base": _base_key(recipe, self.context),
            "settings": recipe.train.model_dump(mode="json"),
            "task": recipe.task.model_dump(mode="json"),
        }
        inputs = train.TrainInputs(dataset, recipe.base, recipe.task)
        if self.use is not None:
            used = train.reuse_report(self.use, inputs, settings=recipe.train, context=self.context)
            record_training(used, dataset, self.context.store, run_id=self.run_id)
            return replace(result, train=used, reused=(*result.reused, "train"))
        report, reused = self._stage("train", parts, TrainReport, lambda _: self._trained(inputs, result.audit))
        record_training(report, dataset, self.context.store, run_id=self.run_id)
        return replace(result, train=report, reused=(*result.reused, *reused))

    def _trained(self, inputs: train.TrainInputs, audited: AuditReport | None) -> TrainReport:
        """Train, once nothing stands against the stages that follow."""
        assert audited is not None
        look_ahead(self.recipe, audited, self.context, until=self.until)
        return train.run(inputs, self.recipe.train, self.context)

    def _evaluate(self, result: RunResult) -> RunResult:
        assert result.audit is not None and result.train is not None
        recipe = self.recipe
        inputs = evaluate.EvaluateInputs(result.train, result.audit.train, result.audit.test, recipe.task)
        parts = {
            "model": result.train.model.tree,
            "base": result.train.base.tree,
            "precision": result.train.precision,
            "train": result.audit.train.rows_digest,
            "test": None if result.audit.test is None else result.audit.test.rows_digest,
            "settings": recipe.evaluate.model_dump(mode="json"),
            "task": recipe.task.model_dump(mode="json"),
        }
        report, reused = self._stage(
            "evaluate", parts, EvaluationReport, lambda _: evaluate.run(inputs, recipe.evaluate, self.context)
        )
        return replace(result, evaluation=report, reused=(*result.reused, *reused))

    def _gate(self, result: RunResult) -> RunResult:
        assert result.evaluation is not None
        evaluation, policy = result.evaluation, self.recipe.gate
        parts = {
            "evaluation": evaluation.digest(),
            "policy": [requirement.model_dump(mode="json") for requirement in policy],
        }
        report, reused = self._stage(
            "gate", parts, GateReport, lambda _: release.run_gate(policy, evaluation, self.context)
        )
        return replace(result, gate=report, reused=(*result.reused, *reused))

    def _release(self, result: RunResult) -> RunResult:
        assert result.audit and result.train and result.evaluation and result.gate
        recipe = self.recipe
        parts = {
            "audit": result.audit.digest(),
            "train": result.train.digest(),
            "gate": result.gate.digest(),
            "recipe": recipe.model_dump(mode="json"),
        }
        key = self._key("release", parts)
        inputs = release.ReleaseInputs(
            recipe=recipe,
            audit=result.audit,
            train=result.train,
            evaluation=result.evaluation,
            gate=result.gate,
            content_key=key,
            started=self.started,
        )
        known = self.context.store.ledger.release_of(key) is not None
        report = release.run(inputs, recipe.release, self.context)
        self._record("release", key, report)
        record_release(report, self.context.store)
        return replace(result, release=report, reused=(*result.reused, *(("release",) if known else ())))

    def _stage(
        self, name: str, parts: dict[str, Any], kind: type[R], make: Callable[[str], R]
    ) -> tuple[R, tuple[str, ...]]:
        """The report of a content key: from the ledger when it is there, else made now and recorded last."""
        key = self._key(name, parts)
        row = None if self.again else self.context.store.ledger.stage(key)
        if row is not None and self.context.store.objects.has(row.report):
            known = self.context.store.get(kind, row.report)
            if self._holds(known):
                self.context.progress.say(f"{name}: done already ({row.report_digest[:19]})")
                self.context.store.ledger.set_ref(f"{self.recipe.name}/{name}", row.report)
                return known, (name,)
        report = make(key)
        self._record(name, key, report)
        self.context.store.end_work(report.provenance.digest())
        return report, ()

    def _holds(self, report: Report) -> bool:
        """Whether a report is still what the stage would say today: an audit is, until the next row's right of use ends."""
        if not isinstance(report, AuditReport) or report.good_until is None:
            return True
        return self.context.clock.now().date().isoformat() <= report.good_until

    def _record(self, name: str, key: str, report: Report) -> None:
        row = StageRow(
            stage=name, run_id=self.run_id, report=self.context.store.put(report), report_digest=report.digest()
        )
        self.context.store.ledger.finish_stage(key, row=row)
        self.context.store.ledger.set_ref(f"{self.recipe.name}/{name}", row.report)

    def _key(self, name: str, parts: dict[str, Any]) -> str:
        value = {"stage": name, "parts": parts, "code": code_version(), "versions": library_versions()}
        return digest_of(canonical_bytes(value))


def look_ahead(recipe: Recipe, audited: AuditReport, context: Context, *, until: StageName) -> None:
    """What the stages after training would refuse, as far as the clean rows and the base show it. Trains nothing.

    Raises RecipeError with all that stands against the rows, and what release and the self-checks of evaluation raise.
    """
    if ORDER.index(until) < ORDER.index("evaluate"):
        return
    whole_context = recipe.train.model_copy(update={"max_tokens": None})
    reader = open_reader(recipe.base, recipe.task, context, train=whole_context)
    policy = recipe.gate if ORDER.index(until) >= ORDER.index("gate") else ()
    precision = train.precision_of(recipe.train)
    ahead = evaluate.EvaluationPlan(audited.train, audited.test, recipe.task, policy, reader, precision)
    raise_faults(evaluate.find_row_faults(ahead, recipe.evaluate, context))
    if until == "release":
        release.check_release(recipe, audited, context)
    if not isinstance(recipe.base, NewBase):
        folder = context.store.checkout(prepare_base(recipe.base, recipe.task, context, train=recipe.train).tree)
        evaluate.check_base(
            folder,
            ahead,
            recipe.evaluate,
            context=context,
            tuned=lambda model: train.with_random_adapter(model, recipe.train, context),
        )


def preview(recipe: Recipe, context: Context, *, until: StageName, again: bool = False) -> TrainPreview:
    """Audit the rows, look at all that stages up to `until` would refuse, and say what training would do; no step is taken.

    Raises what `run` would raise before its first step. The audit is kept as done.
    """
    check_recipe(recipe, until=until, home=context.home, data_root=context.data_root)
    audited = run(recipe, context, until="audit", again=again).audit
    assert audited is not None
    settings = train.resolve_precision(recipe.train)
    recipe, context = recipe.model_copy(update={"train": settings}), replace(context, seed=settings.seed)
    with context.store.lock("look ahead"):
        look_ahead(recipe, audited, context, until=until)
        return train.dry_run(train.TrainInputs(audited.train, recipe.base, recipe.task), settings, context)


def _base_key(recipe: Recipe, context: Context) -> Any:
    """What a base is known by before any heavy work: its files' digests, or its settings and config when made anew."""
    base, template = recipe.base, recipe.task.chat_template
    if not isinstance(base, NewBase):
        return prepare_base(base, recipe.task, context, train=recipe.train).tree
    path = context.home / base.config
    config = digest_of(path.read_bytes()) if path.is_file() else "missing"
    text = None if template is None else digest_of(template_text(template, context).encode())
    tokens = list(recipe.train.add_tokens)
    return {"new": base.model_dump(mode="json"), "config": config, "chat_template": text, "add_tokens": tokens}


def _unmet(report: GateReport) -> list[str]:
    return [f"{verdict.requirement}: {verdict.reason}" for verdict in report.verdicts if verdict.outcome != "pass"]
