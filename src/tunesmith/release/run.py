"""The release stage: write and sign the release folder of a model that passed the gate.

Order: model files and documents, `trust.sign_release` (release statement, log, evidence, signature), rename to the final name,
ledger entry. The folder is built under a temporary name and renamed, so a release is either complete or absent.
"""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tunesmith.artifacts import AuditReport, EvaluationReport, GateReport, ReleaseReport, TrainReport, digest_of
from tunesmith.context import Context
from tunesmith.data.rows import load_rows
from tunesmith.errors import IntegrityBroken, Misuse, Refused
from tunesmith.models.architecture import architecture_of
from tunesmith.models.loading import open_tokenizer
from tunesmith.models.plain_reader import max_positions_in_folder
from tunesmith.models.tasks import Seq2seqTask, build_task
from tunesmith.recipe import Recipe, ReleaseSettings
from tunesmith.release import statements
from tunesmith.release.cards import FolderFacts, croissant_bytes, provenance_bytes, render_data_card, render_model_card
from tunesmith.release.manifest import MANIFEST_FILE, RECIPE_FILE, WeightPrecisions, manifest_bytes, recipe_bytes
from tunesmith.release.model_files import copy_base, copy_model, stored_precision
from tunesmith.release.page import render_page
from tunesmith.store.objects import disk_errors, write_atomic
from tunesmith.trust import FileSigner, Statement, key_id, load_signer, sign_release, verify_release
from tunesmith.trust.files import digest_files
from tunesmith.trust.release_layout import SIGNATURE_FILE

LOGS_FOLDER: Final = ".log"
"""Folder of the transparency logs next to the releases, one log per key. No release can have this name."""


@dataclass(frozen=True)
class ReleaseInputs:
    """Inputs of a release. `content_key` is the digest of all of them; `started` is the time of the run, RFC 3339."""

    recipe: Recipe
    audit: AuditReport
    train: TrainReport
    evaluation: EvaluationReport
    gate: GateReport
    content_key: str
    started: str


@dataclass(frozen=True)
class _ReleaseJob:
    """Arguments shared by the steps of one release."""

    inputs: ReleaseInputs
    settings: ReleaseSettings
    context: Context
    signer: FileSigner

    def folder(self, version: int) -> Path:
        """Release folder, relative to `context.home`."""
        return Path(self.settings.folder) / self.inputs.recipe.name / str(version)

    @property
    def log(self) -> Path:
        return log_folder(self.settings, self.signer, self.context)


def run(inputs: ReleaseInputs, settings: ReleaseSettings, context: Context) -> ReleaseReport:
    """Build, sign and record the release, or reuse the one already recorded for this content key.

    Raises Refused when the gate did not pass, Misuse when there is no signing key. The ledger stores the folder relative to
    `context.home`, so that a project can be moved; the report holds its current path.
    """
    start = context.clock.seconds()
    if inputs.gate.outcome != "pass":
        hint = "nothing was released; `tunesmith show RECIPE --stage gate` lists the requirements that were not met"
        raise Refused(f"gate outcome: {inputs.gate.outcome}", where=inputs.recipe.name, hint=hint)
    job = _ReleaseJob(inputs, settings, context, open_signer(settings, context))
    version = _existing_version(job)
    if version is None:
        version = _next_version(job)
        folder = job.folder(version)
        if not (context.home / folder).exists():
            _build_folder(job, version)
        name, key = inputs.recipe.name, inputs.content_key
        context.store.ledger.record_release(
            name, version, content_key=key, folder=folder.as_posix(), created=inputs.started
        )
    report = _release_report(job, version)
    return report.model_copy(update={"measured": {"seconds": round(context.clock.seconds() - start, 2)}})


def open_signer(settings: ReleaseSettings, context: Context) -> FileSigner:
    """Load the signing key of the recipe. Raises Misuse when it is missing or cannot sign."""
    path = context.home / settings.key
    if not path.is_file():
        raise Misuse(
            "signing key not found", where=str(path), hint=f"create one with `tunesmith init --key {settings.key}`"
        )
    return load_signer(path)


def log_folder(settings: ReleaseSettings, signer: FileSigner, context: Context) -> Path:
    """Transparency log of a key, next to the releases."""
    return context.home / settings.folder / LOGS_FOLDER / key_id(signer.public_pem())[:16]


def _existing_version(job: _ReleaseJob) -> int | None:
    """The recorded version for this content key, if its folder still verifies with the current key."""
    recorded = job.context.store.ledger.release_of(job.inputs.content_key)
    if recorded is None:
        return None
    version, folder = recorded
    problem = _folder_mismatch(job, job.context.home / folder, version)
    if problem is None:
        return version
    job.context.progress.say(f"Existing release {folder} cannot be reused, writing a new version: {problem}")
    return None


def _next_version(job: _ReleaseJob) -> int:
    """The next free version. A complete folder with this content key, left by a killed run, is reused."""
    version = job.context.store.ledger.next_version(job.inputs.recipe.name)
    while (folder := job.context.home / job.folder(version)).exists():
        if _folder_mismatch(job, folder, version) is None:
            break
        version += 1
    return version


def _folder_mismatch(job: _ReleaseJob, folder: Path, version: int) -> str | None:
    """Why a folder is not the signed release of these inputs, or None if it is."""
    try:
        release = verify_release(folder, job.signer.public_pem())
    except (IntegrityBroken, Misuse) as error:
        return error.what
    if (release.name, release.version) != (job.inputs.recipe.name, version):
        return f"it is signed as {release.name} {release.version}"
    key = json.loads((folder / MANIFEST_FILE).read_bytes())["content_key"]
    return None if key == job.inputs.content_key else "it was built from other inputs"


def _build_folder(job: _ReleaseJob, version: int) -> None:
    """Build and sign in a temporary folder next to the target, then rename."""
    target = job.context.home / job.folder(version)
    building = target.with_name(f".making-{version}")
    with disk_errors(target):
        shutil.rmtree(building, ignore_errors=True)
        building.mkdir(parents=True)
        evidence = _statements(job.inputs, _write_files(building, job, version))
        name = job.inputs.recipe.name
        sign_release(building, job.signer, name=name, version=version, statements=evidence, log_folder=job.log)
        _make_readable(building)
        building.rename(target)


def _make_readable(folder: Path) -> None:
    """Make all files world-readable, since a release is published; files in the store may be private."""
    for path in folder.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)


def _write_files(folder: Path, job: _ReleaseJob, version: int) -> statements.StatementSubjects:
    """Write everything except evidence and signature. No file contains a time, so the same inputs give the same bytes."""
    inputs, store = job.inputs, job.context.store
    recipe, train = inputs.recipe, inputs.train
    base = store.checkout(train.base.tree)
    task = build_task(recipe.task, architecture_of(base), load_rows(inputs.audit.train, store))
    max_answer_tokens = _max_answer_tokens(recipe, base) if isinstance(task, Seq2seqTask) else None
    released = copy_model(folder, train.model, job.settings, store=store, max_answer_tokens=max_answer_tokens)
    with_base = train.model.kind == "adapter" and copy_base(folder, train.base, store=store)
    precisions = WeightPrecisions(stored_precision(folder), inputs.evaluation.precision)
    key = key_id(job.signer.public_pem())
    facts = FolderFacts(version, key, precisions.stored, with_base, len(task.labels), task.head)
    recipe_file = recipe_bytes(recipe, train)
    documents = {
        RECIPE_FILE: recipe_file,
        MANIFEST_FILE: manifest_bytes(
            recipe, train, version=version, content_key=inputs.content_key, task=task, precisions=precisions
        ),
        **_documents(inputs, facts),
    }
    for name, data in documents.items():
        write_atomic(folder / name, data)
    evaluated = {name: digest for name, digest in store.tree(train.model.tree).items() if name.endswith(".safetensors")}
    return statements.StatementSubjects(released=released, evaluated=evaluated, recipe=digest_of(recipe_file))


def _max_answer_tokens(recipe: Recipe, base: Path) -> int:
    """Answer limit of the evaluation in tokens."""
    return min(recipe.evaluate.max_new_tokens, max_positions_in_folder(base, open_tokenizer(base)))


def _documents(inputs: ReleaseInputs, facts: FolderFacts) -> dict[str, bytes]:
    """{file name: bytes} of the cards, the data metadata and the HTML report."""
    recipe, audit, train, evaluation, gate = inputs.recipe, inputs.audit, inputs.train, inputs.evaluation, inputs.gate
    card = render_model_card(recipe, audit, train=train, evaluation=evaluation, gate=gate, facts=facts)
    page = render_page(recipe, audit, train=train, evaluation=evaluation, gate=gate)
    return {
        "README.md": card.encode(),
        "data-card.md": render_data_card(recipe, audit, train=train).encode(),
        "croissant.json": croissant_bytes(recipe, audit),
        "provenance.json": provenance_bytes(recipe, audit),
        "report.html": page.encode(),
    }


def _statements(inputs: ReleaseInputs, subjects: statements.StatementSubjects) -> dict[str, Statement]:
    this_run = statements.RunReference(inputs.content_key, inputs.started)
    return {
        "training": statements.training_statement(
            inputs.recipe, inputs.audit, inputs.train, subjects=subjects, run=this_run
        ),
        "evaluation": statements.evaluation_statement(inputs.evaluation, subjects=subjects),
        "gate": statements.gate_statement(inputs.recipe, inputs.gate, subjects=subjects, run=this_run),
        "audit": statements.audit_statement(inputs.audit),
    }


def _release_report(job: _ReleaseJob, version: int) -> ReleaseReport:
    inputs, folder = job.inputs, job.context.home / job.folder(version)
    reports = {"audit": inputs.audit, "train": inputs.train, "evaluation": inputs.evaluation, "gate": inputs.gate}
    return ReleaseReport(
        provenance=job.context.provenance(
            "release",
            inputs={name: report.digest() for name, report in reports.items()},
            settings=job.settings.model_dump(mode="json"),
        ),
        name=inputs.recipe.name,
        version=version,
        folder=str(folder),
        model_tree=inputs.train.model.tree,
        files=digest_files(folder, skip=frozenset({SIGNATURE_FILE}), error=IntegrityBroken),
        public_key=job.signer.public_pem().decode(),
    )
