"""A base from the Hugging Face Hub at a commit: from the Hub library's cache, or over the network if allowed."""

import json
import os
import shutil
from fnmatch import fnmatch
from pathlib import Path
from typing import Final

from tunesmith import process
from tunesmith.errors import DataError, MachineFailure, RecipeError

FILE_PATTERNS: Final = ("*.json", "*.safetensors", "*.jinja", "*.model", "*.txt", "LICENSE*", "README.md")
WEIGHT_INDEX_FILE: Final = "model.safetensors.index.json"


def snapshot_files(repo: str, revision: str, *, network: bool) -> dict[str, Path]:
    """The files of a snapshot that a base needs, by their paths in it. Many are links into the Hub library's cache.

    With `network`, missing files are downloaded. Raises RecipeError if the snapshot is not cached and the network is not
    allowed, or if it does not exist or is incomplete; MachineFailure if the Hub cannot be reached or the download breaks off.
    """
    folder = _snapshot_folder(repo, revision, network=network)
    paths = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()}
    matching = {name: path for name, path in paths.items() if any(fnmatch(name, pattern) for pattern in FILE_PATTERNS)}
    missing = _missing_file(matching)
    if missing is not None:
        what = f"the snapshot has no {missing}" if network else f"the local Hub cache of the snapshot has no {missing}"
        hint = "choose a base with safetensors and a fast tokenizer" if network else "set `network: true` under base"
        raise RecipeError(what, where=_location(repo, revision), hint=hint)
    return matching


def copy_snapshot(repo: str, revision: str, folder: Path, *, network: bool) -> None:
    """Put the files of a snapshot into `folder`, as hard links where possible. Raises the errors of `snapshot_files`."""
    for name, path in snapshot_files(repo, revision, network=network).items():
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(path.resolve(), target)
        except OSError:
            shutil.copyfile(path, target)


def _snapshot_folder(repo: str, revision: str, *, network: bool) -> Path:
    if network:
        process.allow_network()
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    where, patterns = _location(repo, revision), list(FILE_PATTERNS)
    # Depending on its version, the Hub library uses httpx or httpx2; its own error derives from theirs.
    http = (kind for kind in HfHubHTTPError.__mro__ if issubclass(kind, Exception) and kind.__name__ == "HTTPError")
    broken: tuple[type[Exception], ...] = (OSError, *http)
    try:
        return Path(snapshot_download(repo, revision=revision, allow_patterns=patterns, local_files_only=not network))
    except HFValidationError as error:
        raise RecipeError(f"{repo!r} is not a Hub id", where=where, hint="write it as owner/name") from error
    except GatedRepoError as error:
        hint = "accept the licence on the model's page and log in with `hf auth login`"
        raise RecipeError("the model is gated: its publisher requires an agreement", where=where, hint=hint) from error
    except LocalEntryNotFoundError as error:
        if network:
            hint = "check the network connection"
            raise MachineFailure("the Hub cannot be reached", where=where, hint=hint) from error
        hint = "set `network: true` under base, or download it first"
        raise RecipeError("the base is not in the local Hub cache", where=where, hint=hint) from error
    except HfHubHTTPError as error:
        reason = str(error).strip().splitlines()[0][:200]
        raise RecipeError(
            f"the Hub rejected the request: {reason}", where=where, hint="check the id and the revision"
        ) from error
    except broken as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        reason = str(error).strip().partition("\n")[0][:200]
        hint = "run the command again: finished files are kept"
        raise MachineFailure(f"the download from the Hub broke off: {reason}", where=where, hint=hint) from error


def _missing_file(files: dict[str, Path]) -> str | None:
    """The first missing file of those that a base needs: config, all weights, tokenizer. None if complete."""
    weights = [name for name in files if name.endswith(".safetensors") and "/" not in name]
    if WEIGHT_INDEX_FILE in files:
        try:
            weights = sorted(set(json.loads(files[WEIGHT_INDEX_FILE].read_bytes())["weight_map"].values()))
        except (ValueError, KeyError, AttributeError, TypeError) as error:
            raise DataError("the index of the weights cannot be read", where=str(files[WEIGHT_INDEX_FILE])) from error
    needed = ["config.json", *(weights or ["*.safetensors"]), "tokenizer.json"]
    return next((name for name in needed if name not in files), None)


def _location(repo: str, revision: str) -> str:
    return f"{repo} at {revision[:12]}"
