"""What changes who is champion: first written into the ledger, then done, and completed or voided by the next if the doer died.

An entry that moves aliases names the versions it moves them `from` and `to`. `previous` is moved first and `champion` last; then the
registry remembers the entry as settled. A later promoter that finds an entry not settled completes it, since the decision stands in the
ledger with its reasons, unless the champion is by now a third version: then the entry is voided, in the ledger too.
"""

import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pipelines.events import champion_changed
from pipelines.ledger import voided
from pipelines.locks import who
from pipelines.registry import NAMES, ROLLED_BACK, Registry, Version
from pipelines.tracking.publish import find_run, side_channel
from pipelines.tracking.store import LONGEST_TAG

log = logging.getLogger(__name__)

Entry = dict[str, Any]


def record(registry: Registry, entry: Mapping[str, Any]) -> Entry:
    """Write an entry into the ledger, with its author, and answer it as it stands there. Only inside `registry.promoting`."""
    registry.check_turn()
    known = max((registry.settled(task) for task in NAMES), key=lambda mark: mark.number)
    return registry.ledger.append({"by": who(), **entry}, known)


def note(registry: Registry, entry: Mapping[str, Any]) -> Entry:
    """Record what moves no alias."""
    written = record(registry, entry)
    registry.settle(written)
    return written


def moves(entry: Mapping[str, Any]) -> bool:
    """Whether an entry makes another version champion."""
    return entry["event"] == "rollback" or (entry["event"] == "decision" and entry["verdict"] == "promote")


def apply(registry: Registry, entry: Mapping[str, Any]) -> None:
    """Bring tags and aliases to where a recorded entry wants them, champion last; doing it twice does no harm.

    Raises ServiceError when the turn is lost: whoever took it completes the entry.
    """
    task, before, after = entry["task"], entry["from"], entry["to"]
    winner = registry.numbered(task, after["version"])
    loser = registry.numbered(task, before["version"]) if before else None
    assert winner is not None
    if entry["event"] == "rollback":
        if loser is not None:
            registry.tag(loser, {ROLLED_BACK: entry["at"]})
        if winner.rolled_back:
            registry.untag(winner, ROLLED_BACK)
    else:
        tag_decision(registry, winner, entry)
    if loser is not None:
        registry.assign(loser, "previous")
    registry.assign(winner, "champion")
    champion_changed(entry, winner.name)
    registry.settle(entry)


def tag_decision(registry: Registry, version: Version, entry: Mapping[str, Any]) -> None:
    """Let the tags of the version and of its run tell what was decided of it."""
    registry.tag(version, _decided(entry))
    tell_runs(registry, [version], [entry])


def tell_runs(registry: Registry, versions: Iterable[Version], entries: Sequence[Mapping[str, Any]]) -> None:
    """Let the run of each version tell the last decision about it, where it does not yet.

    Nobody decides by a run's tags, so that nothing here raises: what cannot be written is a warning, and written by the next round.
    """
    with side_channel("what was decided is not in every run"):
        for version in versions:
            if (entry := _last_decision(entries, version)) is not None:
                _tell_run(registry, version, entry)


def _tell_run(registry: Registry, version: Version, entry: Mapping[str, Any]) -> None:
    run = find_run(registry.store, entry["task"], version.sha256)
    if run is None:
        return
    for name, value in _decided(entry).items():
        if run.data.tags.get(name) != value[:LONGEST_TAG]:
            registry.store.client.set_tag(run.info.run_id, name, value[:LONGEST_TAG])


def _decided(entry: Mapping[str, Any]) -> dict[str, str]:
    named = {"verdict": entry["verdict"], "decided": entry["at"], "reasons": "; ".join(entry["reasons"]), "decision": entry["key"]}
    return {f"visionloop.{name}": value for name, value in named.items()}


def recover(registry: Registry, task: str) -> Entry | None:
    """Complete or void the last move if its promoter died before it was settled; answers what was completed.

    A champion that somebody chose past the ledger, in MLflow's UI, stays, and the ledger says so from then on. The version that the
    ledger had is `previous` then, so that a rollback undoes the choice.
    """
    entries = registry.history(task)
    last = last_move(entries)
    if last is None or "number" not in last:  # written before moves were settled
        return None
    champion = registry.at(task, "champion")
    number = champion.number if champion else None
    before, after = ((last[side] or {}).get("version") for side in ("from", "to"))
    if last["event"] == "moved" or last["number"] <= registry.settled(task).number:
        if number != after:
            _note_choice(registry, task, last["to"], champion)
        return None
    if after is None or number not in (before, after) or registry.numbered(task, after) is None:
        now = _told(champion.named() if champion else None)
        why = f"entry {last['number']} was not completed, and the champion is another by now: {now}"
        note(registry, {"task": task, "event": "void", "of": last["number"], "reasons": [why]})
        return recover(registry, task)  # the entry before it may say another champion, too
    log.warning("%s: entry %d of the ledger was cut short (%s): it is completed", task, last["number"], last["by"])
    apply(registry, last)
    return last


def is_out_of_step(registry: Registry, task: str) -> bool:
    """Whether the champion is another than the ledger's last move wants, so that the next promoter has something to complete or to note."""
    last, champion = last_move(registry.history(task)), registry.at(task, "champion")
    return last is not None and (last["to"] or {}).get("version") != (champion.number if champion else None)


def _note_choice(registry: Registry, task: str, had: Mapping[str, Any] | None, champion: Version | None) -> None:
    """Somebody made `champion` what it is where the ledger `had` another: that is previous, unless it was deleted."""
    left = registry.numbered(task, had["version"]) if had else None
    if left is not None:
        registry.assign(left, "previous")  # before the note: whoever dies in between is followed by one who sees the choice again
    found = champion.named() if champion else None
    why = f"{_told(found)} was made champion past the ledger, which had {_told(had)}"
    note(registry, {"task": task, "event": "moved", "from": had, "to": found, "reasons": [why]})


def last_move(entries: Sequence[Entry]) -> Entry | None:
    """The last entry that says who is champion."""
    gone = voided(entries)
    told = (entry for entry in reversed(entries) if moves(entry) or entry["event"] == "moved")
    return next((entry for entry in told if entry.get("number") not in gone or "number" not in entry), None)


def _last_decision(entries: Sequence[Mapping[str, Any]], version: Version) -> Mapping[str, Any] | None:
    """The last decision about these weights."""
    gone = voided(entries)
    told = (entry for entry in reversed(entries) if entry["event"] == "decision" and entry.get("number") not in gone and "key" in entry)
    return next((entry for entry in told if entry["candidate"]["sha256"] == version.sha256), None)


def _told(version: Mapping[str, Any] | None) -> str:
    return f"version {version['version']} ({version['model']})" if version else "no version"
