"""`tunesmith verify FOLDER --key PUB`."""

from tunesmith.cli import options, output


def command(folder: options.ReleaseFolder, key: options.KeyFile, json: options.Json = False) -> None:
    """Check a release folder with one public key and no network: any changed, added or removed byte is refused."""
    from tunesmith.trust import key_id, load_public_pem, verify_release

    public = load_public_pem(key)
    found = verify_release(folder, public)
    if json:
        from tunesmith.artifacts import canonical_bytes

        statements = {statement.name: statement.predicate_type for statement in found.statements}
        value = {"name": found.name, "version": found.version, "files": found.files, "statements": statements}
        output.write_data(canonical_bytes({**value, "key": key_id(public)}))
        return
    output.write_line(f"good: {found.name} {found.version}, signed by the key {key_id(public)[:16]}")
    output.write_line(f"  model.sig covers {found.files} files, and there is no other file")
    output.write_line("  the release statement lists exactly these files, and the signed log holds it")
    for statement in found.statements:
        output.write_line(f"  {statement.name}: {statement.predicate_type}")
