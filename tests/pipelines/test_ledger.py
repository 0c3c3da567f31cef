"""The ledger's chain: whatever is done to a line afterwards is found, and named."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from pipelines.ledger import NOTHING, START, Ledger, Mark, digest, faults

Lines = list[str]


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    made = Ledger(tmp_path / "ledger.jsonl")
    for number in range(1, 6):
        made.append({"task": "classification", "event": "decision", "verdict": "keep", "n": number})
    return made


def edited(line: str, **changes: object) -> str:
    """By one who knows how hashes are made."""
    entry = {**json.loads(line), **changes}
    return json.dumps({**entry, "hash": digest(entry)}, sort_keys=True)


def test_each_entry_holds_the_hash_of_the_one_before(ledger: Ledger) -> None:
    entries = ledger.entries("classification")
    assert [entry["number"] for entry in entries] == [1, 2, 3, 4, 5]
    assert [entry["previous"] for entry in entries] == [START, *(entry["hash"] for entry in entries[:-1])]
    assert ledger.verify() == [] and ledger.entries("detection") == []


def test_the_hash_is_that_of_the_documented_form(ledger: Ledger) -> None:
    import hashlib

    entry = ledger.entries("classification")[1]
    text = '{"at":"%s","event":"decision","n":2,"number":2,"previous":"%s","task":"classification","verdict":"keep"}'
    assert entry["hash"] == hashlib.sha256((text % (entry["at"], entry["previous"])).encode()).hexdigest()


TAMPERED: dict[str, tuple[Callable[[Lines], Lines], list[str]]] = {
    "edited": (lambda lines: [*lines[:2], lines[2].replace('"keep"', '"promote"'), *lines[3:]], [r"entry 3 \(.*promote\) was edited"]),
    "edited with its hash": (lambda lines: [*lines[:2], edited(lines[2], n=9), *lines[3:]], [r"entry 3 is not what entry 4 .* replaced"]),
    "removed": (lambda lines: lines[:2] + lines[3:], [r"entry 3 is missing before entry 4"]),
    "several removed": (lambda lines: lines[:1] + lines[4:], [r"entries 2 to 4 are missing before entry 5"]),
    "first removed": (lambda lines: lines[1:], [r"entry 1 is missing before entry 2"]),
    "swapped": (
        lambda lines: [lines[0], lines[2], lines[1], *lines[3:]],
        [r"entry 2 is missing before entry 3", r"entry 2 .* stands after entry 3", r"entry 3 is missing before entry 4"],
    ),
    "repeated": (lambda lines: [*lines[:3], lines[2], *lines[3:]], [r"entry 3 .* stands after entry 3"]),
    "inserted": (lambda lines: [*lines[:3], '{"task": "x", "event": "decision"}', *lines[3:]], [r"line 4 \(x, decision\) has no hash"]),
    "made illegible": (lambda lines: [*lines[:2], "{", *lines[3:]], [r"line 3 was cut short", r"entry 3 is missing before entry 4"]),
}


@pytest.mark.parametrize("how", TAMPERED)
def test_tampering_is_found_and_named(ledger: Ledger, how: str, caplog: pytest.LogCaptureFixture) -> None:
    tamper, expected = TAMPERED[how]
    found = list(faults(tamper(ledger.path.read_text().splitlines())))
    assert len(found) == len(expected), found
    for fault, pattern in zip(found, expected, strict=True):
        import re

        assert re.search(pattern, fault), found
    ledger.path.write_text("\n".join(tamper(ledger.path.read_text().splitlines())) + "\n")
    ledger.entries("classification")
    assert "not as it was written" in caplog.text


@pytest.mark.parametrize(
    ("tamper", "said"),
    [
        (lambda lines: lines[:3], "entries 4 to 5 are missing at the end"),
        (lambda lines: [], "entries 1 to 5 are missing at the end"),
        (lambda lines: [*lines[:4], edited(lines[4], n=9)], "entry 5 was replaced"),
    ],
)
def test_what_the_registry_remembers_tells_of_the_end(ledger: Ledger, tamper: Callable[[Lines], Lines], said: str) -> None:
    last = ledger.entries("classification")[-1]
    mark = Mark.read(str(Mark(5, last["hash"])))
    assert mark is not None and ledger.verify([mark, NOTHING]) == []
    assert next(faults(tamper(ledger.path.read_text().splitlines()), [mark])).startswith(said)


def test_after_a_loss_numbers_go_on_and_the_loss_is_still_told(ledger: Ledger) -> None:
    last = ledger.entries("classification")[-1]
    ledger.path.unlink()
    entry = ledger.append({"task": "classification", "event": "decision"}, Mark(5, last["hash"]))
    assert (entry["number"], entry["previous"]) == (6, last["hash"])
    assert ledger.verify() == ["entries 1 to 5 are missing before entry 6 (" + entry["at"] + ", classification, decision)"]


def test_lines_from_before_the_chain_stay_readable_and_are_bound_by_the_first_that_has_a_hash(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.jsonl")
    old = [json.dumps({"task": "classification", "event": "decision", "verdict": "promote", "n": number}) for number in (1, 2)]
    ledger.path.write_text("\n".join(old) + "\n")
    ledger.append({"task": "classification", "event": "rollback", "n": 3})
    assert [entry["n"] for entry in ledger.entries("classification")] == [1, 2, 3] and ledger.verify() == []
    ledger.path.write_text(ledger.path.read_text().replace('"n": 1', '"n": 7'))
    assert ledger.verify()[0].startswith("what stands before the first entry is not what entry 1")
