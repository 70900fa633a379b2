"""people.py FOLDER: whom the gated server knows, as `people.ndjson`: somebody whose account has the same attributes
(`person.json`), and a stranger."""

import json
import pathlib
import sys

FIXTURES = pathlib.Path(__file__).parents[3] / "fixtures" / "guide"
VERIFICATION = {
    "url": "https://idi-match.example/StructureDefinition/identity-verification",
    "extension": [
        {"url": "level", "valueUri": "http://udap.org/code/id/idial1.8"},
        {"url": "date", "valueDate": "2026-02-03"},
    ],
}
folder = pathlib.Path(sys.argv[1])
person = json.loads((FIXTURES / "patient-l1.json").read_text(encoding="utf-8"))
person.pop("meta")
person.pop("id", None)
(folder / "person.json").write_text(json.dumps(person), encoding="utf-8")
known = [
    {**person, "id": "own", "extension": [VERIFICATION]},
    {"resourceType": "Patient", "id": "stranger", "name": [{"family": "Elsewhere", "given": ["Quentin"]}], "birthDate": "1971-03-04"},
]
(folder / "people.ndjson").write_text("".join(json.dumps(one) + "\n" for one in known), encoding="utf-8")
