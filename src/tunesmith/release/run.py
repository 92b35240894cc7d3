"""The release stage: a model that the gate let through becomes one signed folder.

Order of proof: model files and documents, then `trust.sign_release` (release statement, log, evidence, signature), then the
folder gets its name, then the ledger. The folder is made under a name of its own and renamed, so a release is whole or absent.
"""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tunesmith import process
from tunesmith.artifacts import AuditReport, EvaluationReport, GateReport, ReleaseReport, TrainReport, digest_of
from tunesmith.context import Context
from tunesmith.errors import IntegrityBroken, Misuse, Refused
from tunesmith.recipe import Recipe, ReleaseSettings
from tunesmith.store.objects import disk_errors, write_atomic
from tunesmith.trust import FileSigner, Statement, key_id, load_signer, sign_release, verify_release
from tunesmith.trust.files import digests_of
from tunesmith.trust.layout import SIGNATURE

process.prepare()

from tunesmith.data.rows import load_rows  # noqa: E402
from tunesmith.models.architecture import architecture_of  # noqa: E402
from tunesmith.models.loading import open_tokenizer  # noqa: E402
from tunesmith.models.plain_reader import positions_in  # noqa: E402
from tunesmith.models.tasks import EncoderDecoder, build_task  # noqa: E402
from tunesmith.release import statements  # noqa: E402
from tunesmith.release.cards import (  # noqa: E402
    Facts,
    croissant_bytes,
    provenance_bytes,
    render_data_card,
    render_model_card,
)
from tunesmith.release.folder import place_base, place_model, stored_precision  # noqa: E402
from tunesmith.release.manifest import MANIFEST, RECIPE, Precisions, manifest_bytes, recipe_bytes  # noqa: E402
from tunesmith.release.page import render_page  # noqa: E402

LOG: Final = ".log"
"""Folder of the transparency logs beside the releases, one log for each key; no release can have this name."""


@dataclass(frozen=True)
class ReleaseInputs:
    """Everything a release rests on. `content_key` stands for all of it; `started` is the run's time, RFC 3339."""

    recipe: Recipe
    audit: AuditReport
    train: TrainReport
    evaluation: EvaluationReport
    gate: GateReport
    content_key: str
    started: str


@dataclass(frozen=True)
class _Work:
    """What every step of one call needs."""

    inputs: ReleaseInputs
    settings: ReleaseSettings
    context: Context
    signer: FileSigner

    def folder(self, version: int) -> Path:
        """Relative to `context.home`."""
        return Path(self.settings.folder) / self.inputs.recipe.name / str(version)

    @property
    def log(self) -> Path:
        return log_folder(self.settings, self.signer, self.context)


def run(inputs: ReleaseInputs, settings: ReleaseSettings, context: Context) -> ReleaseReport:
    """Make, sign and record the release, or find the one that this content key has already.

    Raises Refused when the gate did not pass, Misuse when there is no signing key. The ledger keeps the folder relative to
    `context.home`, so that a project can be moved; the report says where it lies now.
    """
    began = context.clock.seconds()
    if inputs.gate.outcome != "pass":
        hint = "nothing was released; the report names the requirements that were not met"
        raise Refused(f"the gate says {inputs.gate.outcome}", where=inputs.recipe.name, hint=hint)
    work = _Work(inputs, settings, context, open_signer(settings, context))
    version = _existing(work)
    if version is None:
        version = _next_version(work)
        folder = work.folder(version)
        if not (context.home / folder).exists():
            _make(work, version)
        name, key = inputs.recipe.name, inputs.content_key
        context.store.ledger.record_release(
            name, version, content_key=key, folder=folder.as_posix(), created=inputs.started
        )
    report = _report(work, version)
    return report.model_copy(update={"measured": {"seconds": round(context.clock.seconds() - began, 2)}})


def open_signer(settings: ReleaseSettings, context: Context) -> FileSigner:
    """The key of the recipe. Raises Misuse when it is not there or cannot sign."""
    path = context.home / settings.key
    if not path.is_file():
        raise Misuse(
            "there is no signing key", where=str(path), hint=f"make one: `tunesmith init --key {settings.key}`"
        )
    return load_signer(path)


def log_folder(settings: ReleaseSettings, signer: FileSigner, context: Context) -> Path:
    """Where the log of a key lies, beside its releases."""
    return context.home / settings.folder / LOG / key_id(signer.public_pem())[:16]


def _existing(work: _Work) -> int | None:
    """The version that the ledger has for this content key, if its folder still verifies under today's key."""
    found = work.context.store.ledger.release_of(work.inputs.content_key)
    if found is None:
        return None
    version, folder = found
    problem = _problem(work, work.context.home / folder, version)
    if problem is None:
        return version
    work.context.progress.say(f"{folder} is not used again, and a new version is made: {problem}")
    return None


def _next_version(work: _Work) -> int:
    """The next free number; a whole folder of this very content key, left by a run that was killed, is taken as it is."""
    version = work.context.store.ledger.next_version(work.inputs.recipe.name)
    while (folder := work.context.home / work.folder(version)).exists():
        if _problem(work, folder, version) is None:
            break
        version += 1
    return version


def _problem(work: _Work, folder: Path, version: int) -> str | None:
    """Why a folder is not the signed release of these inputs, or None when it is."""
    try:
        release = verify_release(folder, work.signer.public_pem())
    except (IntegrityBroken, Misuse) as error:
        return error.what
    if (release.name, release.version) != (work.inputs.recipe.name, version):
        return f"it is signed as {release.name} {release.version}"
    key = json.loads((folder / MANIFEST).read_bytes())["content_key"]
    return None if key == work.inputs.content_key else "it was made from something else"


def _make(work: _Work, version: int) -> None:
    """Build and sign beside the target, then rename."""
    target = work.context.home / work.folder(version)
    building = target.with_name(f".making-{version}")
    with disk_errors(target):
        shutil.rmtree(building, ignore_errors=True)
        building.mkdir(parents=True)
        evidence = _statements(work.inputs, _fill(building, work, version))
        name = work.inputs.recipe.name
        sign_release(building, work.signer, name=name, version=version, statements=evidence, log_folder=work.log)
        _make_readable(building)
        building.rename(target)


def _make_readable(folder: Path) -> None:
    """A release is meant for others: its files are readable by all, whatever the store's are."""
    for path in folder.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)


def _fill(folder: Path, work: _Work, version: int) -> statements.Subjects:
    """Everything but evidence and signature. The same inputs give the same bytes; no time stands in these files."""
    inputs, store = work.inputs, work.context.store
    recipe, train = inputs.recipe, inputs.train
    base = store.checkout(train.base.tree)
    task = build_task(recipe.task, architecture_of(base), load_rows(inputs.audit.train, store))
    longest = _longest(recipe, base) if isinstance(task, EncoderDecoder) else None
    released = place_model(folder, train.model, work.settings, store=store, longest=longest)
    with_base = train.model.kind == "adapter" and place_base(folder, train.base, store=store)
    precisions = Precisions(stored_precision(folder), inputs.evaluation.precision)
    key = key_id(work.signer.public_pem())
    facts = Facts(version, key, precisions.stored, with_base, len(task.labels), task.head)
    recipe_file = recipe_bytes(recipe, train)
    documents = {
        RECIPE: recipe_file,
        MANIFEST: manifest_bytes(
            recipe, train, version=version, content_key=inputs.content_key, task=task, precisions=precisions
        ),
        **_documents(inputs, facts),
    }
    for name, data in documents.items():
        write_atomic(folder / name, data)
    evaluated = {name: digest for name, digest in store.tree(train.model.tree).items() if name.endswith(".safetensors")}
    return statements.Subjects(released=released, evaluated=evaluated, recipe=digest_of(recipe_file))


def _longest(recipe: Recipe, base: Path) -> int:
    """Tokens that an answer had room for in the evaluation."""
    return min(recipe.evaluate.max_new_tokens, positions_in(base, open_tokenizer(base)))


def _documents(inputs: ReleaseInputs, facts: Facts) -> dict[str, bytes]:
    """What people read, and the data's metadata for programs."""
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


def _statements(inputs: ReleaseInputs, subjects: statements.Subjects) -> dict[str, Statement]:
    this_run = statements.Run(inputs.content_key, inputs.started)
    return {
        "training": statements.training(inputs.recipe, inputs.audit, inputs.train, subjects=subjects, run=this_run),
        "evaluation": statements.evaluation(inputs.evaluation, subjects=subjects),
        "gate": statements.gate(inputs.recipe, inputs.gate, subjects=subjects, run=this_run),
        "audit": statements.audit_summary(inputs.audit),
    }


def _report(work: _Work, version: int) -> ReleaseReport:
    inputs, folder = work.inputs, work.context.home / work.folder(version)
    reports = {"audit": inputs.audit, "train": inputs.train, "evaluation": inputs.evaluation, "gate": inputs.gate}
    return ReleaseReport(
        provenance=work.context.provenance(
            "release",
            inputs={name: report.digest() for name, report in reports.items()},
            settings=work.settings.model_dump(mode="json"),
        ),
        name=inputs.recipe.name,
        version=version,
        folder=str(folder),
        model_tree=inputs.train.model.tree,
        files=digests_of(folder, skip=frozenset({SIGNATURE}), error=IntegrityBroken),
        public_key=work.signer.public_pem().decode(),
    )
