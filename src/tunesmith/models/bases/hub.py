"""A base from the Hub at a commit: out of the Hub library's own cache, or over the network when that is allowed."""

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
    """The files of a snapshot that are asked for, by their paths in it; many are links into the Hub library's cache.

    With `network` the Hub is asked for what is missing. Raises RecipeError when it is not here and may not be fetched, when it
    is not there or is incomplete, MachineFailure when the Hub cannot be reached or breaks off.
    """
    folder = _snapshot_folder(repo, revision, network=network)
    paths = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()}
    asked = {name: path for name, path in paths.items() if any(fnmatch(name, pattern) for pattern in FILE_PATTERNS)}
    missing = _missing_file(asked)
    if missing is not None:
        what = f"the snapshot has no {missing}" if network else f"the Hub's local cache has no {missing} of it"
        hint = "give a base with safetensors and a fast tokenizer" if network else "let the network be used"
        raise RecipeError(what, where=_location(repo, revision), hint=hint)
    return asked


def copy_snapshot(repo: str, revision: str, folder: Path, *, network: bool) -> None:
    """Put the files of a snapshot into `folder`, as hard links where the disk allows it. Raises what `snapshot` does."""
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
    # The Hub's library stands on httpx or httpx2, by its version; its own error is one of theirs.
    http = (one for one in HfHubHTTPError.__mro__ if issubclass(one, Exception) and one.__name__ == "HTTPError")
    broken: tuple[type[Exception], ...] = (OSError, *http)
    try:
        return Path(snapshot_download(repo, revision=revision, allow_patterns=patterns, local_files_only=not network))
    except HFValidationError as error:
        raise RecipeError(f"{repo!r} is no id of the Hub", where=where, hint="give it as owner/name") from error
    except GatedRepoError as error:
        hint = "accept the licence on the model's page and log in with `hf auth login`"
        raise RecipeError("its publisher asks for an agreement first", where=where, hint=hint) from error
    except LocalEntryNotFoundError as error:
        if network:
            hint = "look at the connection, or fetch it where there is one"
            raise MachineFailure("the Hub cannot be reached", where=where, hint=hint) from error
        hint = "set `network: true` under base, or download it first"
        raise RecipeError("it is not in the local cache of the Hub", where=where, hint=hint) from error
    except HfHubHTTPError as error:
        reason = str(error).strip().splitlines()[0][:200]
        raise RecipeError(f"the Hub refuses: {reason}", where=where, hint="check name and revision") from error
    except broken as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        reason = str(error).strip().partition("\n")[0][:200]
        hint = "run it again: what has arrived is kept"
        raise MachineFailure(f"the Hub's answer broke off: {reason}", where=where, hint=hint) from error


def _missing_file(files: dict[str, Path]) -> str | None:
    """What a base cannot do without and is not there: its config, all of its weights, its tokenizer."""
    weights = [name for name in files if name.endswith(".safetensors") and "/" not in name]
    if WEIGHT_INDEX_FILE in files:
        try:
            weights = sorted(set(json.loads(files[WEIGHT_INDEX_FILE].read_bytes())["weight_map"].values()))
        except (ValueError, KeyError, AttributeError, TypeError) as error:
            raise DataError("the index of the weights cannot be read", where=str(files[WEIGHT_INDEX_FILE])) from error
    wanted = ["config.json", *(weights or ["*.safetensors"]), "tokenizer.json"]
    return next((name for name in wanted if name not in files), None)


def _location(repo: str, revision: str) -> str:
    return f"{repo} at {revision[:12]}"
