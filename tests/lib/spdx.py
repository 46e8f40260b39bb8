#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""spdx.py FILE: holds an SBOM against the rules of SPDX 2.3 for a document of packages and relationships.

From spdx.github.io/spdx-spec/v2.3: which fields must be there, which may, how identifiers, times, creators,
suppliers, checksums and package URLs are written, and that every relationship leads somewhere.
"""
import json
import re
import sys

import jsonschema

TEXT = {"type": "string", "minLength": 1}
ID = {"type": "string", "pattern": r"^SPDXRef-[A-Za-z0-9.-]+$"}
AGENT = r"(Person|Organization): [^()]+( \([^()]*\))?"
URI = r"[a-z][a-z0-9+.-]*:[^\s]+"


def closed(required, **properties):
    return {"type": "object", "required": required, "properties": properties, "additionalProperties": False}


PACKAGE = closed(
    ["SPDXID", "name", "downloadLocation"], SPDXID=ID, name=TEXT, versionInfo=TEXT, packageFileName=TEXT,
    downloadLocation={"type": "string", "pattern": f"^(NOASSERTION|NONE|{URI})$"},
    filesAnalyzed={"const": False},
    supplier={"type": "string", "pattern": f"^(NOASSERTION|{AGENT})$"},
    checksums={"type": "array", "minItems": 1, "items": closed(
        ["algorithm", "checksumValue"], algorithm={"const": "SHA256"},
        checksumValue={"type": "string", "pattern": "^[0-9a-f]{64}$"})},
    externalRefs={"type": "array", "minItems": 1, "items": closed(
        ["referenceCategory", "referenceType", "referenceLocator"], referenceCategory={"const": "PACKAGE-MANAGER"},
        referenceType={"const": "purl"},
        referenceLocator={"type": "string", "pattern": r"^pkg:[a-z]+/[^\s@?#]+(@[^\s@?#/]+)?(\?[^\s#]+)?(#\S+)?$"})})
DOCUMENT = closed(
    ["spdxVersion", "dataLicense", "SPDXID", "name", "documentNamespace", "creationInfo", "packages", "relationships"],
    spdxVersion={"const": "SPDX-2.3"}, dataLicense={"const": "CC0-1.0"}, SPDXID={"const": "SPDXRef-DOCUMENT"},
    name=TEXT, documentNamespace={"type": "string", "pattern": f"^(?!.*#){URI}$"},
    creationInfo=closed(["created", "creators"],
                        created={"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$"},
                        creators={"type": "array", "minItems": 1, "items": {
                            "type": "string", "pattern": f"^({AGENT}|Tool: .+-.+)$"}}),
    packages={"type": "array", "minItems": 1, "items": PACKAGE},
    relationships={"type": "array", "minItems": 1, "items": closed(
        ["spdxElementId", "relationshipType", "relatedSpdxElement"], spdxElementId=ID, relatedSpdxElement=ID,
        relationshipType={"enum": ["DESCRIBES", "CONTAINS", "DEPENDS_ON"]})})


def main():
    with open(sys.argv[1], encoding="utf-8") as f:
        doc = json.load(f)
    faults = [f"{list(e.absolute_path)}: {e.message}" for e in jsonschema.Draft7Validator(DOCUMENT).iter_errors(doc)]
    ids = [p["SPDXID"] for p in doc["packages"]]
    faults += [f"{i} is there twice" for i in set(ids) if ids.count(i) > 1]
    known = set(ids) | {"SPDXRef-DOCUMENT"}
    reached = set()
    for r in doc["relationships"]:
        reached.add(r["relatedSpdxElement"])
        faults += [f"{r[k]} does not exist" for k in ("spdxElementId", "relatedSpdxElement") if r[k] not in known]
    faults += [f"{i} is related to nothing" for i in ids if i not in reached]
    if not any(r["relationshipType"] == "DESCRIBES" and r["spdxElementId"] == "SPDXRef-DOCUMENT"
               for r in doc["relationships"]):
        faults.append("the document describes nothing")
    if re.search(r"(?<![A-Za-z0-9])/(home|root|tmp|work)/", json.dumps(doc)):
        faults.append("a path of the machine that built is in it")
    print("\n".join(faults))
    sys.exit(bool(faults))


main()
