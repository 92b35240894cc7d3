"""Checks of the release stage that can run before training: signing key, log, and documents that need no model."""

from tunesmith.artifacts import AuditReport
from tunesmith.context import Context
from tunesmith.recipe import Recipe
from tunesmith.release.cards import croissant_bytes, provenance_bytes
from tunesmith.release.run import log_folder, open_signer
from tunesmith.trust.log import Log


def check_release(recipe: Recipe, audit: AuditReport, context: Context) -> None:
    """Raises Misuse for a key that cannot sign or a log of another key, IntegrityBroken for a modified log.

    Renders the data documents and discards them, so that an audit report that cannot be rendered fails here.
    """
    signer = open_signer(recipe.release, context)
    log = Log(log_folder(recipe.release, signer, context), signer)
    if log.size:
        log.prove(0)
    croissant_bytes(recipe, audit)
    provenance_bytes(recipe, audit)
