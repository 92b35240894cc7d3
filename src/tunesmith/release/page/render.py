"""One self-contained HTML file: style and charts inside, no script, nothing fetched; everything that is text stays text."""

from pathlib import Path

from tunesmith.artifacts import AuditReport, EvaluationReport, GateReport, TrainReport
from tunesmith.pages import environment, style
from tunesmith.recipe import NewBase, Recipe
from tunesmith.release import wording
from tunesmith.release.page import figures, trained
from tunesmith.release.page.story import headline, samples, taken_out, tiles
from tunesmith.release.results import by_metric

_HERE = Path(__file__).parent


def render_page(
    recipe: Recipe,
    audit: AuditReport,
    *,
    train: TrainReport | None = None,
    evaluation: EvaluationReport | None = None,
    gate: GateReport | None = None,
) -> str:
    """The report of a run. A run that was stopped has no reports after the stage that stopped it; the page says so.

    The same reports give the same bytes. Texts of held-out rows appear as far as `evaluation.samples` holds them; texts
    of training rows do not appear.
    """
    results = () if evaluation is None else by_metric(evaluation)
    values = {
        "recipe": recipe,
        "audit": audit,
        "train": train,
        "evaluation": evaluation,
        "gate": gate,
        "headline": headline(audit, train=train, evaluation=evaluation, gate=gate),
        "tiles": tiles(audit, train, evaluation),
        "taken_out": taken_out(audit),
        "rules_chart": figures.rules(audit),
        "loss_chart": None if train is None else figures.loss(train),
        "rate_chart": None if train is None else figures.rate(train),
        "saving": None if train is None else trained.saving(train),
        "machine": None if train is None else trained.machine(train),
        "notices": () if train is None else trained.notices(train),
        "results": results,
        "metric_charts": [figures.metric(item) for item in results],
        "samples": () if evaluation is None else samples(evaluation, results),
        "from_nothing": isinstance(recipe.base, NewBase),
        "style": style(),
        "level": f"{recipe.evaluate.level:.0%}",
        "w": wording,
    }
    return environment(_HERE).get_template("page.html.j2").render(values)
