"""The model card: README.md of a release."""

from dataclasses import dataclass

from tunesmith.artifacts import AuditReport, EvaluationReport, GateReport, TrainReport
from tunesmith.models.heads import AUTO_CLASSES, TaskHead
from tunesmith.recipe import NewBase, Recipe
from tunesmith.release import wording
from tunesmith.release.cards.front_matter import front_matter
from tunesmith.release.cards.markdown import render_template
from tunesmith.release.result_lines import headline_sentence, results_by_metric


@dataclass(frozen=True)
class FolderFacts:
    """Facts about the release folder. `key_id` is the SHA-256 of the public key in DER form."""

    version: int
    key_id: str
    stored_precision: str
    with_base: bool
    labels: int = 0
    head: TaskHead | None = None

    @property
    def loader(self) -> str:
        """Name of the transformers class that loads the model."""
        return "AutoModelForCausalLM" if self.head is None else AUTO_CLASSES[self.head.kind].__name__

    @property
    def outputs(self) -> int | None:
        """Size of the new head that the base needs before the adapter is loaded."""
        return None if self.head is None else self.head.outputs


def render_model_card(
    recipe: Recipe,
    audit: AuditReport,
    *,
    train: TrainReport,
    evaluation: EvaluationReport,
    gate: GateReport,
    facts: FolderFacts,
) -> str:
    """Render the model card as Markdown with YAML front matter. Missing values read `not stated by the maker`."""
    values = {
        "front_matter": front_matter(recipe, train, evaluation, head=facts.head),
        "recipe": recipe,
        "audit": audit,
        "train": train,
        "evaluation": evaluation,
        "gate": gate,
        "facts": facts,
        "results": results_by_metric(evaluation),
        "headline": headline_sentence(results_by_metric(evaluation)),
        "license": wording.stated_or_missing(recipe.release.license),
        "intended_use": wording.stated_or_missing(recipe.release.intended_use),
        "limits": wording.stated_or_missing(recipe.release.limits),
        "instruction": recipe.task.instruction,
        "adapter": train.model.kind == "adapter",
        "local_base": train.base.is_local,
        "origin": train.base.origin,
        "base_license": wording.base_license(train.base.origin),
        "base_command": None if train.base.origin is None else train.base.origin.command,
        "from_nothing": isinstance(recipe.base, NewBase),
        "rounded": recipe.release.precision == "bf16",
        "how_tuned": wording.METHODS[train.method],
        "objective": wording.loss_target(train.objective, recipe.task, facts.head),
        "level": f"{recipe.evaluate.level:.0%}",
        "sources": [source for source in audit.sources if source.split == "train"],
        "taken_out": audit.rows_read - audit.train.rows - (0 if audit.test is None else audit.test.rows),
        "wording": wording,
    }
    return render_template("model-card.md.j2", values)
