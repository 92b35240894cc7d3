"""What release would refuse, found before training: the key and its log, the folder, and documents that need no model."""

from tunesmith.artifacts import AuditReport
from tunesmith.context import Context
from tunesmith.recipe import Recipe
from tunesmith.release.cards import croissant_bytes, provenance_bytes
from tunesmith.release.run import log_folder, open_signer
from tunesmith.trust.log import Log


def check_release(recipe: Recipe, audit: AuditReport, context: Context) -> None:
    """Raises Misuse for a key that cannot sign or a log of another key, IntegrityBroken for a log that was changed.

    The data's documents are made once, and not kept: what in the audit report cannot be written is found now.
    """
    signer = open_signer(recipe.release, context)
    log = Log(log_folder(recipe.release, signer, context), signer)
    if log.size:
        log.prove(0)
    croissant_bytes(recipe, audit)
    provenance_bytes(recipe, audit)
