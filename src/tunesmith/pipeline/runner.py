"""Run the stages of the table in order, from the ledger where they are finished already.

A finished stage is found by its content key, which covers inputs, settings, code and library versions.
"""

import gzip
import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tunesmith import audit, process, release, train
from tunesmith.artifacts import AuditReport, GateReport, Report, canonical_bytes, digest_of
from tunesmith.context import Context, SilentProgress
from tunesmith.errors import Refused
from tunesmith.pipeline.stages import STAGES, RunResult, RunSettings, Stage
from tunesmith.ports import Progress
from tunesmith.preflight import check_recipe
from tunesmith.recipe import Recipe
from tunesmith.recipe.stage_names import STAGE_ORDER, StageName
from tunesmith.store import open_store
from tunesmith.store.ledger import StageRow
from tunesmith.store.objects import write_atomic
from tunesmith.store.versions import code_version, library_versions


def open_context(
    recipe_path: Path,
    *,
    store: Path | None = None,
    database: str | None = None,
    data_root: Path | None = None,
    progress: Progress | None = None,
) -> Context:
    """The context of a recipe file: its folder is home. Store: `store`, else $TUNESMITH_STORE, else `.tunesmith/` in home."""
    home = recipe_path.resolve().parent
    named = process.environment("TUNESMITH_STORE")
    folder = store or (Path(named) if named else home / ".tunesmith")
    return Context(
        store=open_store(folder, database=database),
        data_root=(data_root or home).resolve(),
        home=home,
        progress=progress or SilentProgress(),
    )


def ignore_report(result: RunResult) -> None:
    """Nobody follows the run."""


def run(
    recipe: Recipe,
    context: Context,
    *,
    until: StageName = "release",
    again: bool = False,
    use: str | None = None,
    report: Callable[[RunResult], None] = ignore_report,
) -> RunResult:
    """Run the stages up to `until`.

    recipe, context: see `load_recipe` and `open_context`.
    until: the last stage.
    again: run every stage, whatever the ledger holds.
    use: digest, in the store, of a training report that was made elsewhere or by other code. It replaces the train stage if it
        was made from the same rows, settings and task; its provenance names the code that made it.
    report: called after every stage with the reports so far, also when a later stage fails.

    Raises RecipeError, before anything is read, with every fault that recipe and disk show for the stages up to `until`.
    Raises Refused when the audit blocks or the gate does not pass; the reports up to there are kept.
    """
    check_recipe(recipe, until=until, home=context.home, data_root=context.data_root)
    recipe = recipe.model_copy(update={"train": train.resolve_precision(recipe.train)})
    context = replace(context, seed=recipe.train.seed)
    run_id = secrets.token_hex(8)
    started = context.clock.now().isoformat(timespec="seconds")
    settings = RunSettings(recipe, context, run_id, started, until, again, use)
    with context.store.lock(run_id):
        context.store.ledger.start_run(run_id, recipe=recipe.name, started=started)
        outcome = "failed"
        try:
            result = _Runner(settings, report).run_stages()
            outcome = "finished"
            return result
        finally:
            finished = context.clock.now().isoformat(timespec="seconds")
            context.store.ledger.finish_run(run_id, finished=finished, outcome=outcome)


@dataclass(frozen=True)
class _Runner:
    """Takes a run from stage to stage. `report` is called after each."""

    settings: RunSettings
    report: Callable[[RunResult], None]

    def run_stages(self) -> RunResult:
        clock, result = self.settings.context.clock, RunResult()
        for stage in STAGES[: STAGE_ORDER.index(self.settings.until) + 1]:
            before, ended = clock.seconds(), False
            try:
                result = self._run_stage(stage, result)
                ended = True
            finally:
                if not ended:
                    self.report(replace(result, page=self._write_page(result)))
            seconds = round(clock.seconds() - before, 2)
            result = replace(result, seconds={**result.seconds, stage.name: seconds})
            self.report(result)
            self._refuse_if_blocked(result)
            self._refuse_if_gate_fails(result)
        return replace(result, page=self._write_page(result))

    def _run_stage(self, stage: Stage[Any], result: RunResult) -> RunResult:
        """The result with the stage's report: adopted, found in the ledger, or made now.

        Lineage is recorded after every stage, including reused ones: an earlier run may have been killed before recording it.
        """
        report, reused = self._find_or_make(stage, result)
        names = (*result.reused, stage.name) if reused else result.reused
        added: dict[str, Any] = {stage.field: report, "reused": names}
        result = replace(result, **added)
        stage.record(self.settings, result)
        return result

    def _find_or_make(self, stage: Stage[Any], result: RunResult) -> tuple[Report, bool]:
        """The report of a stage, and whether it existed before."""
        adopted = stage.adopt(self.settings, result)
        if adopted is not None:
            return adopted, True
        store = self.settings.context.store
        key = content_key(stage.name, stage.key_parts(self.settings, result))
        stored = self._stored_report(stage, key)
        if stored is not None:
            return stored, True
        reused = not stage.resumable and store.ledger.release_of(key) is not None
        report = stage.execute(self.settings, result, key)
        self._record_report(stage.name, key, report)
        store.end_work(report.provenance.digest())
        return report, reused

    def _stored_report(self, stage: Stage[Any], key: str) -> Report | None:
        """The report that the ledger holds for a content key, if it still holds today."""
        if self.settings.again or not stage.resumable:
            return None
        context = self.settings.context
        row = context.store.ledger.stage(key)
        if row is None or not context.store.objects.has(row.report):
            return None
        report: Report = context.store.get(stage.report, row.report)
        if _is_expired(report, context.clock.now().date().isoformat()):
            return None
        context.progress.say(f"{stage.name}: done already ({row.report_digest[:19]})")
        context.store.ledger.set_ref(f"{self.settings.recipe.name}/{stage.name}", row.report)
        return report

    def _record_report(self, name: StageName, key: str, report: Report) -> None:
        """Store the report and enter it in the ledger, last of all: a stage that was killed is not in it."""
        store = self.settings.context.store
        row = StageRow(stage=name, run_id=self.settings.run_id, report=store.put(report), report_digest=report.digest())
        store.ledger.finish_stage(key, row=row)
        store.ledger.set_ref(f"{self.settings.recipe.name}/{name}", row.report)

    def _refuse_if_blocked(self, result: RunResult) -> None:
        """Stop where the audit has findings that block."""
        if result.audit is None or not audit.blocking_findings(result.audit):
            return
        first, counts = audit.blocking_findings(result.audit)[0], result.audit.blocking
        listed = ", ".join(f"{rule} {count:,}" for rule, count in counts.items())
        raise Refused(
            f"audit failed: {first.rule}: {first.reason} (blocking findings: {listed})",
            where=first.place.file if first.place.line == 0 else f"{first.place.file}:{first.place.line}",
            hint=f"fix the rows, or allow them in the recipe: `audit: {{warn: [{', '.join(counts)}]}}`; "
            f"see {self._write_page(result)}",
        )

    def _refuse_if_gate_fails(self, result: RunResult) -> None:
        """Stop where a release was asked for and the gate did not pass."""
        if result.gate is None or result.gate.outcome == "pass" or self.settings.until != "release":
            return
        raise Refused(
            f"the gate says {result.gate.outcome}: " + "; ".join(_unmet_requirements(result.gate)),
            where=self.settings.recipe.name,
            hint=f"nothing was released; see {self._write_page(result)}",
        )

    def _write_page(self, result: RunResult) -> Path | None:
        """Write the HTML report so far, and the rows that the audit removed, to the store's `reports` folder."""
        if result.audit is None:
            return None
        recipe, store = self.settings.recipe, self.settings.context.store
        page = release.render_page(
            recipe, result.audit, train=result.train, evaluation=result.evaluation, gate=result.gate
        )
        path = store.folder / "reports" / f"{recipe.name}.html"
        write_atomic(path, page.encode())
        rows = gzip.decompress(store.objects.get(result.audit.quarantine))
        write_atomic(path.with_suffix(".quarantine.jsonl"), rows)
        return path


def content_key(stage: StageName, parts: dict[str, Any]) -> str:
    """The digest of everything that decides what a stage gives."""
    value = {"stage": stage, "parts": parts, "code": code_version(), "versions": library_versions()}
    return digest_of(canonical_bytes(value))


def _is_expired(report: Report, today: str) -> bool:
    """An audit holds until the right to use one of its rows ends; other reports hold for good."""
    return isinstance(report, AuditReport) and report.good_until is not None and today > report.good_until


def _unmet_requirements(report: GateReport) -> list[str]:
    return [f"{verdict.requirement}: {verdict.reason}" for verdict in report.verdicts if verdict.outcome != "pass"]
