"""A base from the Hub at a commit: out of the Hub library's own cache, or over the network when that is allowed."""

import shutil
from pathlib import Path
from typing import Final

from tunesmith import process
from tunesmith.errors import MachineFailure, RecipeError

PATTERNS: Final = ("*.json", "*.safetensors", "*.jinja", "*.model", "*.txt", "LICENSE*", "README.md")


def hub_folder(repo: str, revision: str, *, network: bool) -> Path:
    """The folder of a snapshot. Raises RecipeError when it is not here and may not be fetched, or is not there."""
    if network:
        process.allow_network()
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, LocalEntryNotFoundError

    where = f"{repo} at {revision[:12]}"
    try:
        return Path(
            snapshot_download(repo, revision=revision, allow_patterns=list(PATTERNS), local_files_only=not network)
        )
    except GatedRepoError as error:
        hint = "accept the licence on the model's page and log in with `hf auth login`"
        raise RecipeError("its publisher asks for an agreement first", where=where, hint=hint) from error
    except LocalEntryNotFoundError as error:
        what = "the Hub cannot be reached" if network else "it is not in the local cache of the Hub"
        hint = "look at the connection" if network else "set `network: true` under base, or download it first"
        raise (MachineFailure if network else RecipeError)(what, where=where, hint=hint) from error
    except HfHubHTTPError as error:
        reason = str(error).strip().splitlines()[0][:200]
        raise RecipeError(f"the Hub refuses: {reason}", where=where, hint="check name and revision") from error


def take_snapshot(repo: str, revision: str, folder: Path, *, network: bool) -> None:
    """Copy the files of a snapshot into `folder`. Raises what `hub_folder` does."""
    snapshot = hub_folder(repo, revision, network=network)
    for path in sorted(snapshot.rglob("*")):
        inner = path.relative_to(snapshot)
        if path.is_file() and not any(part.startswith(".") for part in inner.parts):
            (folder / inner).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, folder / inner)
