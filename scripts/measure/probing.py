"""Requests below the minimum weight about people who are stored and about people who are not, in an order of chance.

probing.py BASE TOKEN STORED ABSENT PAIRS

Of every pair the two answers must have the same bytes, but for ids; of the times, the area under the curve (the share of
pairs of a stored and an absent person whose times are in this order) must be within .45 and .55. Half of the pairs fail
the claimed profile, and half have its weight by its expression and not by the guide's table. Only the standard library.
"""

import http.client
import json
import random
import re
import sys
import time
import urllib.parse

UUID = re.compile(rb"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
L0 = "http://hl7.org/fhir/us/identity-matching/StructureDefinition/IDI-Patient-L0"
LICENCE = {"type": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": "DL"}]}}
LOW, HIGH = 0.45, 0.55


def people(file, count):
    """Patients who have a whole name and a birth date."""
    found = []
    with open(file, encoding="utf-8") as lines:
        for line in lines:
            patient = json.loads(line)
            names = patient.get("name", [])
            if names and "family" in names[0] and names[0].get("given") and "birthDate" in patient:
                found.append(patient)
    if not found:
        sys.exit(f"{file} has nobody")
    return [found[at % len(found)] for at in range(count)]


def request(patient, number):
    asked = {"resourceType": "Patient", "meta": {"profile": [L0]}, "birthDate": patient["birthDate"]}
    name = patient["name"][0]
    asked["name"] = [{"family": name["family"], "given": name["given"][:1]}]
    if number % 2:
        # Five by the expression, nothing by the table: nobody is named who has issued it.
        asked["identifier"] = [{**LICENCE, "value": f"D{number:07}"}]
    parameters = {"resourceType": "Parameters", "parameter": [{"name": "IDIPatient", "resource": asked}]}
    return json.dumps(parameters).encode()


class Server:
    def __init__(self, base, token):
        self.connection = http.client.HTTPConnection(urllib.parse.urlsplit(base).netloc, timeout=30)
        self.headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/fhir+json"}

    def ask(self, body):
        """Status, headers without those that are fresh each time, the body without ids; and the seconds."""
        began = time.perf_counter()
        self.connection.request("POST", "/fhir/Patient/$idi-match", body, self.headers)
        answer = self.connection.getresponse()
        content = answer.read()
        seconds = time.perf_counter() - began
        fresh = {"date", "x-request-id"}
        headers = sorted((name.lower(), value) for name, value in answer.getheaders() if name.lower() not in fresh)
        return (answer.status, headers, UUID.sub(b"#", content)), seconds


def area(first, second):
    """The probability that one of the first is less than one of the second, ties as halves (Mann and Whitney)."""
    ranked = sorted([(value, 0) for value in first] + [(value, 1) for value in second])
    ranks, at = 0.0, 0
    while at < len(ranked):
        end = at
        while end < len(ranked) and ranked[end][0] == ranked[at][0]:
            end += 1
        ranks += (at + end + 1) / 2 * sum(1 for _, which in ranked[at:end] if which)
        at = end
    wins = ranks - len(second) * (len(second) + 1) / 2
    return wins / (len(first) * len(second))


def main():
    base, token, stored, absent, pairs = *sys.argv[1:5], int(sys.argv[5])
    server, chance = Server(base, token), random.Random(1)
    both = list(zip(people(stored, pairs), people(absent, pairs)))
    for patient in both[0] * 200:
        server.ask(request(patient, 0))
    order = [(number, which) for number in range(pairs) for which in (0, 1)]
    chance.shuffle(order)
    answers, times, statuses = {}, ([], []), {}
    for number, which in order:
        answer, seconds = server.ask(request(both[number][which], number))
        times[which].append(seconds)
        statuses[answer[0]] = statuses.get(answer[0], 0) + 1
        other = answers.pop(number, None)
        if other is None:
            answers[number] = answer
        elif other != answer:
            sys.exit(f"pair {number} differs:\n{other}\n{answer}")
    if not set(statuses) <= {403, 422}:
        sys.exit(f"answers of other kinds: {statuses}")
    found = area(*times)
    middle = [sorted(values)[len(values) // 2] * 1e6 for values in times]
    print(f"{pairs:,} pairs, all the same bytes but for ids; statuses {statuses}")
    print(f"median {middle[0]:.0f} µs stored, {middle[1]:.0f} µs absent; AUC {found:.4f} (target {LOW} to {HIGH})")
    if not LOW <= found <= HIGH:
        sys.exit("the times tell who is stored")


if __name__ == "__main__":
    main()
