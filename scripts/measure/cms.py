"""Cases of each kind for the CMS combinations, judged by a server of this project and by the public implementation.

write DIR CASES SEED NICKNAMES: cases.json and stored.ndjson, the same for the same arguments
compare DIR URL: asks the server and the implementation, prints the tables

A case is a query and the records that are stored of its scene; phones, addresses and numbers are unique to a scene, so
that scenes do not meet. Of a person's fields a random part is known on each side: else every case were the same.
"""

import asyncio
import collections
import copy
import http.client
import json
import random
import sys
import urllib.parse

V2 = "http://terminology.hl7.org/CodeSystem/v2-0203"
PLAIN_GIVEN = ["Marzanna", "Zoltan", "Beatrix", "Ignatius", "Rosalind", "Thaddeus", "Winifred", "Cornelius", "Henrietta",
               "Leopold", "Octavia", "Percival", "Quentin", "Sabrina", "Tobias", "Ursula", "Valentin", "Yolanda", "Zenobia",
               "Ambrose", "Clementine", "Desmond", "Evangeline", "Ferdinand", "Gwendolyn", "Horatio", "Isadora", "Jocelyn",
               "Kristoffer", "Lucinda", "Magdalena", "Nathaniel", "Ottilie", "Philippa", "Rosamund", "Seraphina"]
FAMILY = ["Oduya", "Quackenbush", "Lindqvist", "Abernathy", "Castellano", "Dragomir", "Featherstone", "Goldschmidt",
          "Hawthorne", "Ivanovich", "Jankowski", "Kirkpatrick", "Lombardi", "Montgomery", "Nakamura", "Oppenheimer",
          "Pemberton", "Ravenscroft", "Schumacher", "Thornbury", "Underhill", "Vandermeer", "Wainwright", "Yardley",
          "Zimmermann", "Blackwood", "Carmichael", "Dunleavy", "Ellsworth", "Fitzgerald", "Gallagher", "Huntington"]
ACCENTED = [("José", "Jose"), ("Zoë", "Zoe"), ("Renée", "Renee"), ("Björn", "Bjorn"), ("Łucja", "Lucja"), ("Nuño", "Nuno"),
            ("Çağla", "Cagla"), ("Siân", "Sian"), ("Håkon", "Hakon"), ("Ørjan", "Orjan")]
ACCENTED_FAMILY = [("Müller", "Muller"), ("García", "Garcia"), ("Dvořák", "Dvorak"), ("Ångström", "Angstrom"),
                   ("Ibáñez", "Ibanez"), ("Brâncuși", "Brancusi"), ("Weiß", "Weiss"), ("Kovačević", "Kovacevic")]
PUNCTUATED = [("O'Brien", "OBrien"), ("Smith-Jones", "SmithJones"), ("St. James", "St James"), ("D'Angelo", "Dangelo"),
              ("de la Cruz", "De La Cruz"), ("Mc Carthy", "McCarthy"), ("Van-Houten", "Van Houten"), ("O’Dowd", "O'Dowd")]
STREETS = ["Harbor", "Juniper", "Willow", "Cathedral", "Meadow", "Orchard", "Prospect", "Sycamore", "Chestnut", "Granite",
           "Hickory", "Lantern", "Magnolia", "Redwood", "Sunset", "Thistle"]
STREET_KINDS = [("Street", "St"), ("Avenue", "Ave"), ("Road", "Rd"), ("Lane", "Ln"), ("Drive", "Dr"), ("Court", "Ct")]
AREAS = [212, 213, 312, 415, 503, 602, 614, 702, 713, 808]
OPTIONAL = ["address", "phone", "email", "ssn", "itin", "mbi", "licence", "member", "subscriber", "mrn"]
POSITIVE = ["single-edit", "compound-edit", "nickname", "diacritics", "punctuation", "marriage", "moved", "phone-change",
            "ssn-dropped", "placeholder"]
NEGATIVE = ["same-zip-birth-date", "household", "siblings", "name-collision", "shared-institution-address",
            "placeholder-collision"]
DIRECTED = "directed"


class World:
    """Values that no other scene has."""

    def __init__(self, seed, nicknames):
        self.random = random.Random(seed)
        self.count = 0
        self.nicknames = nicknames

    def number(self):
        self.count += 1
        return self.count

    def phone(self):
        number = self.number()
        exchange = 200 + number // 9000 % 350
        return f"{AREAS[number % 10]}-{exchange}-{1000 + number // 10 % 9000:04d}"

    def address(self):
        kind, _ = self.random.choice(STREET_KINDS)
        return {"number": 10 + self.number(), "street": self.random.choice(STREETS), "kind": kind, "unit": "",
                "city": "Dayton", "state": "OH", "zip": f"{self.random.randrange(10000, 99000):05d}"}

    def birth_date(self):
        return f"{self.random.randrange(1930, 2020)}-{self.random.randrange(1, 13):02d}-{self.random.randrange(2, 29):02d}"

    def last4(self):
        while True:
            digits = f"{self.random.randrange(10000):04d}"
            if len(set(digits)) > 1 and digits not in ("1234", "0000", "9999"):
                return digits

    def person(self):
        number = self.number()
        given = self.random.choice(PLAIN_GIVEN)
        return {"given": given, "middle": "", "family": self.random.choice(FAMILY), "old_family": "", "suffix": "",
                "birth_date": self.birth_date(), "address": self.address(), "phone": self.phone(),
                "email": f"{given.lower()}.{number}@oduya.org", "ssn": f"{self.random.randrange(100, 600)}{self.random.randrange(11, 99)}{self.last4()}",
                "itin": f"9{self.random.randrange(10, 99)}70{self.last4()}", "mbi": f"1EG4TE{number:05d}",
                "licence": f"DL{number:07d}", "member": f"M{number:08d}", "subscriber": f"S{number:08d}", "mrn": f"H{number:07d}"}

    def known(self, person, least):
        """The person with a random part of the optional fields, of both sides the same ones mostly."""
        kept = self.random.sample(OPTIONAL, self.random.randrange(least, 6))
        return {name: value if name not in OPTIONAL or name in kept else "" for name, value in person.items()}

    def edit(self, text):
        """One letter left out, doubled, exchanged with its neighbour or another one, never the first."""
        at = self.random.randrange(1, len(text) - 1)
        letter = self.random.choice("aeiourstln") if text[at].isalpha() else self.random.choice("123456789")
        return self.random.choice([text[:at] + text[at + 1:], text[:at] + letter + text[at:],
                                   text[:at] + text[at + 1] + text[at] + text[at + 2:], text[:at] + letter + text[at + 1:]])


def number_of(code, system, value, display):
    return {"type": {"coding": [{"system": V2, "code": code}]}, "system": system, "value": value,
            "assigner": {"display": display}}


def patient(person, identifier=""):
    names = [{key: value for key, value in
              {"family": person["family"], "given": [part for part in (person["given"], person["middle"]) if part],
               "suffix": [person["suffix"]] if person["suffix"] else []}.items() if value}]
    if person["old_family"]:
        names.append({"use": "old", "family": person["old_family"], "given": [person["given"]]})
    telecom = [{"system": system, "value": person[system]} for system in ("phone", "email") if person[system]]
    systems = {"ssn": ("SS", "http://hl7.org/fhir/sid/us-ssn", "SSA"), "itin": ("TAX", "urn:oid:2.16.840.1.113883.4.4", "IRS"),
               "mbi": ("MC", "http://hl7.org/fhir/sid/us-mbi", "CMS"), "licence": ("DL", "urn:oid:2.16.840.1.113883.4.3.39", "Ohio"),
               "member": ("MB", "urn:example:payer", "Payer"), "subscriber": ("SN", "urn:example:payer", "Payer"),
               "mrn": ("MR", "urn:example:hospital", "Hospital")}
    numbers = [number_of(code, system, person[name], display) for name, (code, system, display) in systems.items() if person[name]]
    resource = {"resourceType": "Patient", "id": identifier, "name": names if names[0] else [], "birthDate": person["birth_date"],
                "telecom": telecom, "identifier": numbers, "address": [address(person["address"])] if person["address"] else []}
    return {key: value for key, value in resource.items() if value}


def address(place):
    line = place.get("line") or f"{place['number']} {place['street']} {place['kind']}"
    return {"line": [line] + ([place["unit"]] if place["unit"] else []), "city": place["city"], "state": place["state"],
            "postalCode": place["zip"]}


def edit_field(world, person):
    """One edit in one field that is there."""
    there = [name for name in ("given", "family", "birth_date", "address", "phone", "email", "ssn", "member", "licence") if person[name]]
    name = world.random.choice(there)
    if name == "address":
        place = dict(person["address"])
        part = world.random.choice(["street", "zip", "number"])
        place[part] = world.edit(str(place[part])) if part == "street" else str(place[part])[:-1] + world.random.choice("0123456789")
        person["address"] = place
    elif name == "birth_date":
        year, month, day = person["birth_date"].split("-")
        day = f"{min(28, max(2, int(day) + world.random.choice([-1, 1, 2, 10]))):02d}"
        person["birth_date"] = f"{year}-{month}-{day}"
    elif name in ("phone", "ssn"):
        person[name] = person[name][:-1] + world.random.choice("0123456789")
    elif name == "email":
        person[name] = world.edit(person[name].split("@")[0]) + "@oduya.org"
    else:
        person[name] = world.edit(person[name])
    return name


def positive(world, kind):
    """What is stored of a person, and how the same person is asked for."""
    person = world.person()
    stored = world.known(person, 1)
    asked = copy.deepcopy(stored)
    for name in OPTIONAL:
        if world.random.random() < 0.15:
            asked[name] = ""
    pick = world.random.choice
    if kind == "single-edit":
        edit_field(world, asked)
    elif kind == "compound-edit":
        for _ in range(pick([2, 2, 3])):
            edit_field(world, asked)
    elif kind == "nickname":
        stored["given"], asked["given"] = pick(world.nicknames)
        if pick([True, False]):
            stored["given"], asked["given"] = asked["given"], stored["given"]
    elif kind == "diacritics":
        stored["given"], asked["given"] = pick(ACCENTED)
        if pick([True, False]):
            stored["family"], asked["family"] = pick(ACCENTED_FAMILY)
    elif kind == "punctuation":
        stored["family"], asked["family"] = pick(PUNCTUATED)
        if asked["address"]:
            place = dict(asked["address"])
            place["kind"] = dict(STREET_KINDS)[place["kind"]] + pick(["", "."])
            unit = pick(["", "Apt 4", "Unit 4B"])
            stored["address"], asked["address"] = {**stored["address"], "unit": unit}, {**place, "unit": unit.replace("Apt", "#")}
        if asked["phone"]:
            area, exchange, rest = asked["phone"].split("-")
            asked["phone"] = pick([f"({area}) {exchange}-{rest}", f"+1{area}{exchange}{rest}", f"{area}.{exchange}.{rest}"])
    elif kind == "marriage":
        asked["family"] = pick([name for name in FAMILY if name != stored["family"]])
        if pick([True, False]):
            asked["old_family"] = stored["family"]
    elif kind == "moved" and asked["address"]:
        asked["address"] = world.address()
    elif kind == "phone-change" and asked["phone"]:
        asked["phone"] = world.phone()
    elif kind == "ssn-dropped":
        stored["ssn"], asked["ssn"] = person["ssn"], ""
    elif kind == "placeholder":
        for side in (stored, asked):
            put_placeholder(world, side)
    return asked, [stored]


def put_placeholder(world, person, which=None):
    which = which or world.random.choice(["given", "birth_date", "phone", "ssn", "address", "email", "zip", "member"])
    place = person["address"] or world.address()
    person.update({"given": {"given": "Baby Boy"}, "birth_date": {"birth_date": "1900-01-01"}, "phone": {"phone": "212-555-1234"},
                   "ssn": {"ssn": "999-99-9999"}, "address": {"address": {**place, "line": "123 Main St", "unit": ""}},
                   "email": {"email": "none@example.com"}, "zip": {"address": {**place, "zip": "99999"}},
                   "member": {"member": "PENDING"}}[which])


def negative(world, kind):
    """What is stored, and how somebody else is asked for."""
    pick = world.random.choice
    stored = world.known(world.person(), 2)
    asked = world.known(world.person(), 2)
    if kind == "same-zip-birth-date":
        asked["birth_date"] = stored["birth_date"]
        for side in (stored, asked):
            side["address"] = {**(side["address"] or world.address()), "zip": "45402"}
    elif kind == "household":
        place, phone = world.address(), world.phone()
        for side in (stored, asked):
            side.update(family=stored["family"], address=place, phone=phone, ssn=stored["ssn"])
        asked["subscriber"] = stored["subscriber"]
        asked["given"] = pick([name for name in PLAIN_GIVEN if name != stored["given"]])
    elif kind == "siblings":
        return siblings(world, stored)
    elif kind == "name-collision":
        asked.update(given=stored["given"], family=stored["family"])
        if pick([True, False]):
            asked["birth_date"] = stored["birth_date"]
    elif kind == "shared-institution-address":
        number = world.number()
        place = {**world.address(), "line": pick([f"{number} Rescue Shelter Road", f"{number} County Hospital Drive", f"{number} Harbor Street"])}
        for side in (stored, asked):
            side.update(address=place, phone=pick([f"614-{200 + number // 10000 % 300}-{number % 10000:04d}"]))
        if pick([True, False]):
            asked.update(birth_date=stored["birth_date"])
    else:
        which = pick(["given", "birth_date", "phone", "ssn", "address", "email", "zip", "member"])
        for side in (stored, asked):
            put_placeholder(world, side, which)
            if pick([True, False]):
                put_placeholder(world, side, "phone")
        asked.update(pick([{}, {"given": stored["given"]}, {"birth_date": stored["birth_date"]}, {"family": stored["family"]}]))
    return asked, [stored]


def siblings(world, stored):
    """Two children of one home, one of them asked for; of twins the other one alone is stored in half of the cases."""
    pick = world.random.choice
    stored["address"], stored["phone"] = stored["address"] or world.address(), stored["phone"] or world.phone()
    sibling = {**stored, "given": pick(PLAIN_GIVEN), "email": "", "ssn": "", "itin": "", "mbi": "", "licence": "", "mrn": "", "member": ""}
    if pick([True, False]):
        sibling["birth_date"] = world.birth_date()
    else:
        sibling["given"], stored["given"] = pick([("Jaden", "Jayden"), ("Kaylee", "Kayleen"), ("Marzanna", "Zoltan"), ("Alina", "Arina")])
    return sibling, [stored] if pick([True, False]) else [stored, {**sibling}]


def directed(world):
    """Single cases on which the two are known to differ, or on which one might expect it: name, query, stored."""
    def pair(fields, asked=(), stored=(), both=()):
        person = world.person()
        one = {name: value if name not in OPTIONAL or name in fields else "" for name, value in person.items()}
        one.update(both)
        return {**one, **dict(asked)}, {**one, **dict(stored)}

    def passport(side):
        side["identifier"] = [number_of("XX", "urn:example:unknown", "U7712345", "Unknown")]
        return side

    same = pair([])
    initial = pair(["phone"], {"given": "J", "family": "Oduya"}, {"given": "J", "family": "Quackenbush"})
    middle = pair(["phone"], {"given": "Rosalind", "family": "Oduya"}, {"given": "Zoltan", "middle": "Rosalind", "family": "Quackenbush"})
    line = pair(["address"])
    care_of = [{**line[0]}, {**line[1]}]
    care_of = [patient(side) for side in care_of]
    care_of[1]["address"][0]["line"].insert(0, "c/o Horatio Yardley")
    return [
        ("the first names are one initial", *map(patient, initial)),
        ("the first name of one is the middle name of the other", *map(patient, middle)),
        ("a number of an unknown type", passport(patient(same[0])), passport(patient(same[1]))),
        ("only the year of birth is known", *map(patient, pair(["ssn"], both={"birth_date": "1980"}))),
        ("two short forms of one name", *map(patient, pair(["phone"], {"given": "Bob"}, {"given": "Rob"}))),
        ("junior and the second", *map(patient, pair(["phone"], {"suffix": "Jr"}, {"suffix": "II"}))),
        ("the third and the fifth", *map(patient, pair(["phone"], {"suffix": "III"}, {"suffix": "V"}))),
        ("a line with care of before the street", *care_of),
        ("a post code of the guide's placeholders", *map(patient, pair(["address"], both={"address": {**world.address(), "zip": "12345"}}))),
        ("a short form with an edit", *map(patient, pair(["ssn"], {"given": "Robrt"}, {"given": "Bob"}))),
    ]


def pairs_of_nicknames(path):
    """Formal and short forms, half of them from each side's table."""
    from nicknames import NickNamer

    ours = json.load(open(path, encoding="utf-8"))["formal"]
    first = [(formal, short) for formal, shorts in sorted(ours.items()) for short in shorts]
    namer = NickNamer()
    second = [(formal, short) for formal in sorted(ours) for short in sorted(namer.nicknames_of(formal))]
    count = min(len(first), len(second))
    chosen = random.Random(0)
    return [(a.title(), b.title()) for a, b in chosen.sample(first, count) + chosen.sample(second, count)]


def write(directory, cases, seed, nicknames):
    world = World(seed, pairs_of_nicknames(nicknames))
    listed = []
    with open(f"{directory}/stored.ndjson", "w", encoding="utf-8") as out:
        for kind in POSITIVE + NEGATIVE:
            for number in range(cases):
                asked, stored = positive(world, kind) if kind in POSITIVE else negative(world, kind)
                records = [patient(person, f"{kind}-{number}-{at}") for at, person in enumerate(stored)]
                listed.append({"kind": kind, "query": patient(asked), "stored": records})
                for record in records:
                    out.write(json.dumps(record, ensure_ascii=False) + "\n")
        for number, (name, asked, record) in enumerate(directed(world)):
            asked.pop("id", None)
            record["id"] = f"directed-{number}"
            listed.append({"kind": DIRECTED, "name": name, "query": asked, "stored": [record]})
            out.write(json.dumps(record, ensure_ascii=False) + "\n")
    json.dump(listed, open(f"{directory}/cases.json", "w", encoding="utf-8"), ensure_ascii=False)


class Server:
    def __init__(self, url):
        parts = urllib.parse.urlsplit(url)
        self.connection, self.path = http.client.HTTPConnection(parts.netloc), parts.path

    def judge(self, query):
        """The outcome, the rules that hold and the scenes' records found."""
        body = {"resourceType": "Parameters", "parameter": [{"name": "resource", "resource": query}]}
        self.connection.request("POST", f"{self.path}/Patient/$idi-match", json.dumps(body), {"Content-Type": "application/fhir+json"})
        answer = self.connection.getresponse()
        bundle = json.loads(answer.read())
        assert answer.status == 200, bundle
        entries = [entry for entry in bundle["entry"] if entry["search"]["mode"] == "match"]
        notes = [extension["extension"] for entry in entries for extension in entry["search"]["extension"]
                 if extension["url"].endswith("cms-combination")]
        rules = sorted({part["valueCode"] for note in notes for part in note if part["url"] == "rule"})
        identities = len(notes)
        outcome = "no" if not identities else next(part["valueCode"] for part in notes[0] if part["url"] == "outcome")
        return outcome, " ".join(rules), [entry["resource"]["id"] for entry in entries]


class Implementation:
    def __init__(self):
        from patient_matching.normalization import NormalizationManager

        self.normalization = NormalizationManager()

    def judge(self, query, stored):
        from patient_matching.matching import InMemoryBackend, MatchingManager

        backend = InMemoryBackend([self.normalization.normalize(copy.deepcopy(record)) for record in stored])
        found = asyncio.run(MatchingManager(backend=backend).match(self.normalization.normalize(copy.deepcopy(query))))
        outcome = {"match": "match", "escalate": "ambiguous", "ambiguous": "ambiguous"}.get(found.outcome.value, "no")
        return outcome, found.matched_rule_id if outcome != "no" else "", [record["id"] for record in found.matched_patients or []]


def compare(directory, url):
    server, implementation = Server(url), Implementation()
    cases = json.load(open(f"{directory}/cases.json", encoding="utf-8"))
    table = collections.defaultdict(collections.Counter)
    differences, examples, single = collections.Counter(), {}, []
    for case in cases:
        ours, theirs = server.judge(case["query"]), implementation.judge(case["query"], case["stored"])
        if case["kind"] == DIRECTED:
            single.append((case["name"], f"{ours[0]} {ours[1]}".strip(), f"{theirs[0]} {theirs[1]}".strip()))
            continue
        row = table[case["kind"]]
        row["cases"] += 1
        row["ours"] += ours[0] == "match"
        row["theirs"] += theirs[0] == "match"
        foreign = [record for record in ours[2] if record not in [stored["id"] for stored in case["stored"]]]
        row["foreign"] += bool(foreign)
        if ours[0] == theirs[0] and (ours[0] == "no" or sorted(ours[2]) == sorted(theirs[2])):
            row["agreed"] += 1
            continue
        difference = (case["kind"], f"{ours[0]} {ours[1]}".strip(), f"{theirs[0]} {theirs[1]}".strip())
        differences[difference] += 1
        examples.setdefault(difference, []).append({**case, "here": ours, "there": theirs})
    print_tables(table, differences)
    print("\n| single case | here | there |\n|---|---|---|")
    for name, ours, theirs in single:
        print(f"| {name} | {ours} | {theirs} |")
    with open(f"{directory}/differences.json", "w", encoding="utf-8") as out:
        json.dump([case for difference in sorted(examples) for case in examples[difference]], out, indent=1, ensure_ascii=False)


def print_tables(table, differences):
    print("\n| kind | cases | matched here | matched there | agreement |\n|---|---:|---:|---:|---:|")
    total = collections.Counter()
    for kind in POSITIVE + NEGATIVE:
        row = table[kind]
        total.update(row)
        print(f"| {kind} | {row['cases']} | {row['ours']} | {row['theirs']} | {row['agreed'] / row['cases']:.1%} |")
    print(f"| all | {total['cases']} | {total['ours']} | {total['theirs']} | {total['agreed'] / total['cases']:.1%} |")
    print(f"\nanswers with a record of another scene: {total['foreign']}\n")
    print("| kind | here | there | cases |\n|---|---|---|---:|")
    for (kind, ours, theirs), count in sorted(differences.items()):
        print(f"| {kind} | {ours} | {theirs} | {count} |")


if __name__ == "__main__":
    command, directory, *rest = sys.argv[1:]
    if command == "write":
        write(directory, int(rest[0]), int(rest[1]), rest[2])
    else:
        compare(directory, *rest)
