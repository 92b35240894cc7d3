"""Render the HTML report: one self-contained file, no scripts, no external resources; all values are escaped."""

from pathlib import Path

from tunesmith.artifacts import AuditReport, EvaluationReport, GateReport, TrainReport
from tunesmith.pages import page_style, template_environment
from tunesmith.recipe import NewBase, Recipe
from tunesmith.release import wording
from tunesmith.release.page import charts, training_facts
from tunesmith.release.page.summary import findings_by_rule, held_out_samples, page_headline, summary_tiles
from tunesmith.release.result_lines import results_by_metric

_HERE = Path(__file__).parent


def render_page(
    recipe: Recipe,
    audit: AuditReport,
    *,
    train: TrainReport | None = None,
    evaluation: EvaluationReport | None = None,
    gate: GateReport | None = None,
) -> str:
    """HTML report of a run. Reports after the stage that stopped a run are None, and the page says so.

    The same reports give the same bytes. The page shows test rows in `evaluation.samples` and no text of training rows.
    """
    results = () if evaluation is None else results_by_metric(evaluation)
    values = {
        "recipe": recipe,
        "audit": audit,
        "train": train,
        "evaluation": evaluation,
        "gate": gate,
        "headline": page_headline(audit, train=train, evaluation=evaluation, gate=gate),
        "tiles": summary_tiles(audit, train, evaluation),
        "taken_out": findings_by_rule(audit),
        "rules_chart": charts.rules_chart(audit),
        "loss_chart": None if train is None else charts.loss_chart(train),
        "rate_chart": None if train is None else charts.rate_chart(train),
        "saving": None if train is None else training_facts.prefix_saving(train),
        "machine": None if train is None else training_facts.machine_speed(train),
        "notices": () if train is None else training_facts.watcher_notices(train),
        "results": results,
        "metric_charts": [charts.metric_chart(item) for item in results],
        "samples": () if evaluation is None else held_out_samples(evaluation, results),
        "from_nothing": isinstance(recipe.base, NewBase),
        "style": page_style(),
        "level": f"{recipe.evaluate.level:.0%}",
        "wording": wording,
    }
    return template_environment(_HERE).get_template("page.html.j2").render(values)
