"""`tunesmith verify FOLDER --key PUB`."""

from tunesmith.cli import options, output


def command(folder: options.ReleaseFolder, key: options.KeyFile, json: options.Json = False) -> None:
    """Verify a release folder offline with one public key. Any changed, added or missing file is an error."""
    from tunesmith.trust import key_id, load_public_pem, verify_release

    public = load_public_pem(key)
    release = verify_release(folder, public)
    if json:
        from tunesmith.artifacts import canonical_bytes

        statements = {statement.name: statement.predicate_type for statement in release.statements}
        value = {"name": release.name, "version": release.version, "files": release.files, "statements": statements}
        output.write_data(canonical_bytes({**value, "key": key_id(public)}))
        return
    output.write_line(f"Verified: {release.name} {release.version}, signed by key {key_id(public)[:16]}")
    output.write_line(f"  model.sig covers all {release.files} files")
    output.write_line("  the release statement lists exactly these files and is recorded in the signed log")
    for statement in release.statements:
        output.write_line(f"  {statement.name}: {statement.predicate_type}")
