"""croissant.json: the data of a release as Croissant 1.1 with its responsible-AI terms (RAI 1.0), PROV-O lineage and ODRL offers.

Written directly as JSON-LD, without a library or network access. Every value is marked measured, declared or missing in the
table `tunesmith:marks` of the same file: {JSON Pointer: mark}. A value is set for the whole dataset only if every row states
one; otherwise it is set on the files that state it. See docs/formats/data-provenance.md.
Source: Croissant format specification 1.1 (MLCommons, 2025-12-10) and Croissant RAI specification 1.0 (2024-03-06).
"""

import json
from typing import Any, Final

from tunesmith.artifacts import AuditReport
from tunesmith.recipe import Recipe
from tunesmith.release import wording
from tunesmith.release.cards.croissant_files import NAMESPACE, file_objects, license_value, record_sets
from tunesmith.release.cards.declarations import combined_declaration, combined_license
from tunesmith.release.cards.marked_values import MISSING, MarkedValue, declared, measured, separate_marks

CROISSANT_SPECIFICATION: Final = "http://mlcommons.org/croissant/1.1"
RAI_SPECIFICATION: Final = "http://mlcommons.org/croissant/RAI/1.0"
JSONLD_CONTEXT: Final = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "sc": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "dct": "http://purl.org/dc/terms/",
    "prov": "http://www.w3.org/ns/prov#",
    "odrl": "http://www.w3.org/ns/odrl/2/",
    "tunesmith": NAMESPACE,
    **{
        name: f"cr:{name}"
        for name in (
            *(
                "annotation",
                "arrayShape",
                "citeAs",
                "column",
                "containedIn",
                "equivalentProperty",
                "excludes",
                "extract",
            ),
            *("field", "fileObject", "fileProperty", "fileSet", "format", "includes", "isArray", "isLiveDataset"),
            *("jsonPath", "key", "md5", "parentField", "path", "readLines", "recordSet", "references", "regex"),
            *("repeated", "replace", "samplingRate", "sdVersion", "separator", "source", "subField", "transform"),
            *("unArchive", "value"),
        )
    },
    "conformsTo": "dct:conformsTo",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "description": {"@container": "@language"},
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "name": {"@container": "@language"},
    "tunesmith:marks": {"@type": "@json"},
    "tunesmith:columns": {"@type": "@json"},
    "tunesmith:stated": {"@type": "@json"},
    "tunesmith:heldOut": {"@type": "@json"},
}
"""JSON-LD context of the specification's appendix 1 and of mlcroissant 1.1.1, plus PROV-O, ODRL and our namespace."""

MISSING_PROPERTIES: Final = (
    "url",
    "datePublished",
    "version",
    "citeAs",
    "publisher",
    "keywords",
    "dateCreated",
    "dateModified",
    "sameAs",
)
"""Required or recommended properties that no recipe key provides."""

MISSING_RAI_PROPERTIES: Final = (
    *("dataCollection", "dataCollectionMissingData", "dataImputationProtocol", "dataAnnotationProtocol"),
    *("dataAnnotationPlatform", "dataAnnotationAnalysis", "annotationsPerItem", "annotatorDemographics"),
    *("machineAnnotationTools", "dataBiases", "dataLimitations", "dataSocialImpact", "dataReleaseMaintenancePlan"),
)
COLLECTION_TYPES: Final = {"crawled": "Web Scraping", "user": "User-generated content data"}
"""Source classes mapped to the values RAI recommends for `dataCollectionType`; all others become `Others: <class>`."""

AUTHOR_TYPES: Final = ["Person", "Organization"]
"""The recipe does not say which of the two an author is, and mlcroissant 1.1.1 rejects a creator without a type."""

PERSONAL_DATA_CHECK: Final = "personal-data"


def croissant_bytes(recipe: Recipe, audit: AuditReport) -> bytes:
    """croissant.json as indented JSON. The same reports give the same bytes. It contains no text of any row."""
    plain, marks = separate_marks(_document(recipe, audit))
    return (json.dumps({**plain, "tunesmith:marks": marks}, indent=2, ensure_ascii=False) + "\n").encode()


def dataset_description(recipe: Recipe, audit: AuditReport) -> str:
    """Description of the data from the row and file counts."""
    held_out = "" if audit.test is None else f" and {wording.count_noun(audit.test.rows, 'row')} to test it with"
    return (
        f"{wording.count_noun(audit.train.rows, 'row')} that {recipe.name} was tuned on{held_out}, kept by an audit of "
        f"{wording.count_noun(audit.rows_read, 'row')} from {wording.count_noun(len(audit.sources), 'file')}. "
        "The rows themselves are not part of the release; each file is known by its SHA-256."
    )


def collection_period(audit: AuditReport) -> tuple[str, str] | None:
    """First and last collection date, if every row states one."""
    declaration = combined_declaration(audit.sources, "collected")
    return (min(declaration.rows), max(declaration.rows)) if declaration.rows and declaration.without == 0 else None


def declared_source_classes(audit: AuditReport) -> list[str]:
    """Source classes, sorted; empty unless every row states one."""
    declaration = combined_declaration(audit.sources, "source_class")
    return sorted(declaration.rows) if declaration.complete else []


def _document(recipe: Recipe, audit: AuditReport) -> dict[str, Any]:
    return {
        "@context": JSONLD_CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": [CROISSANT_SPECIFICATION, RAI_SPECIFICATION],
        "name": declared(recipe.name),
        "description": measured(dataset_description(recipe, audit)),
        "license": license_value(combined_license(audit)),
        "tunesmith:license": declared(combined_license(audit)),
        "creator": _creators(audit),
        "inLanguage": _declared_for_all(audit, "language"),
        "expires": _earliest_expiry(audit),
        **dict.fromkeys(MISSING_PROPERTIES, MISSING),
        **_rai_properties(audit),
        "prov:wasDerivedFrom": [{"@id": f"file-{number}"} for number in range(1, len(audit.sources) + 1)],
        "prov:wasGeneratedBy": _audit_activity(audit),
        "tunesmith:rowsDigest": measured(
            {"train": audit.train.rows_digest, **({} if audit.test is None else {"test": audit.test.rows_digest})}
        ),
        **({} if audit.split is None else {"tunesmith:heldOut": measured(audit.split.model_dump(mode="json"))}),
        "distribution": file_objects(audit.sources),
        "recordSet": record_sets(audit.sources),
    }


def _creators(audit: AuditReport) -> MarkedValue:
    declaration = combined_declaration(audit.sources, "author")
    return declared(
        [{"@type": AUTHOR_TYPES, "name": name} for name in sorted(declaration.rows)] if declaration.complete else None
    )


def _declared_for_all(audit: AuditReport, key: str) -> MarkedValue:
    declaration = combined_declaration(audit.sources, key)
    return declared(sorted(declaration.rows) if declaration.complete else None)


def _earliest_expiry(audit: AuditReport) -> MarkedValue:
    """The dataset expires with the first of its rows."""
    return declared(min(combined_declaration(audit.sources, "expires").rows, default=None))


def _audit_activity(audit: AuditReport) -> dict[str, Any]:
    return {
        "@type": "prov:Activity",
        "prov:label": "Audit",
        "tunesmith:report": measured(audit.digest()),
        "prov:wasAssociatedWith": {
            "@type": "prov:SoftwareAgent",
            "prov:label": "Tunesmith",
            "tunesmith:code": measured(audit.provenance.code),
        },
    }


def _rai_properties(audit: AuditReport) -> dict[str, Any]:
    origins, dates = combined_declaration(audit.sources, "origin"), collection_period(audit)
    values = {
        **dict.fromkeys(MISSING_RAI_PROPERTIES, MISSING),
        "dataCollectionType": declared(
            [COLLECTION_TYPES.get(name, f"Others: {name}") for name in declared_source_classes(audit)]
        ),
        "dataCollectionRawData": declared("; ".join(sorted(origins.rows)) if origins.complete else None),
        "dataCollectionTimeframe": declared(None if dates is None else sorted(set(dates))),
        "dataPreprocessingProtocol": measured([f"{name}: {how}" for name, how in sorted(audit.checks.items())]),
        "dataManipulationProtocol": measured(manipulation_summary(audit)),
        "personalSensitiveInformation": _personal_data(audit),
        "dataUseCases": measured(["Fine Tuning", *([] if audit.test is None else ["Testing"])]),
    }
    return {f"rai:{name}": value for name, value in sorted(values.items())}


def manipulation_summary(audit: AuditReport) -> str:
    """Rows dropped and redacted, by rule."""
    dropped = [f"{rule}: {wording.count_noun(n, 'row')} taken out" for rule, n in sorted(audit.dropped.items())]
    changed = [
        f"{rule}: parts of {wording.count_noun(n, 'row')} replaced" for rule, n in sorted(audit.redacted.items())
    ]
    return "; ".join([*dropped, *changed]) or "No row was taken out and no text was replaced."


def checked_for_personal_data(audit: AuditReport) -> bool:
    """Whether the audit checked for personal data."""
    reported = any(PERSONAL_DATA_CHECK in counts for counts in (audit.dropped, audit.redacted, audit.warned))
    return reported or audit.checks.get(PERSONAL_DATA_CHECK, "off") != "off"


def rows_with_subject(audit: AuditReport) -> int:
    """Number of rows linked to a person through the subject column."""
    return sum(source.stated.get("subject", {}).get("", 0) for source in audit.sources)


def _personal_data(audit: AuditReport) -> MarkedValue:
    if not checked_for_personal_data(audit):
        return MISSING
    actions = [
        f"{name} {wording.count_noun(counts[PERSONAL_DATA_CHECK], 'row')}"
        for name, counts in (
            ("took out", audit.dropped),
            ("replaced in", audit.redacted),
            ("let stay in", audit.warned),
        )
        if counts.get(PERSONAL_DATA_CHECK)
    ]
    limits = "Only what has a form was looked for, such as addresses of electronic mail; names and street addresses were not."
    outcome = f"Personal data: {', '.join(actions)}." if actions else "Personal data: none was found."
    marked = rows_with_subject(audit)
    persons = (
        [f"{wording.count_noun(marked, 'row')} with the mark of a person (HMAC-SHA256, secret key)."] if marked else []
    )
    return measured([f"{outcome} {limits}", *persons])
