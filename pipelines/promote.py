"""Gather the evidence, decide, and apply: the one place where a model becomes champion."""

import hashlib
import math
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol

from components.errors import DataError, UsageError
from components.evaluate.compare import Comparison
from components.gate import Gate
from components.guards import Guarded
from components.promote import Decision, Evidence, decide, rank, summed
from pipelines import acts
from pipelines.approval import PENDING, Matter, Say, awaits, is_no, last_word, matter, named, proposal, refused
from pipelines.evidence import Drawn, compare, evidence, read_report
from pipelines.parts import measure, missing
from pipelines.paths import Paths
from pipelines.registry import Registry, Version
from pipelines.tracking.publish import find_run

EvaluateAgain = Callable[[Path], Path]


class PromoteSettings(Protocol):
    """What of the settings a promotion reads: `promote.<task>` (the gate), `promote.rounds` and `seed`."""

    @property
    def promote(self) -> Any: ...  # noqa: D102
    @property
    def seed(self) -> int: ...  # noqa: D102


def promote(
    task: str,
    paths: Paths,
    settings: PromoteSettings,
    reports: Sequence[Path],
    evaluate_again: EvaluateAgain | None = None,
    registry: Registry | None = None,
    say: Say | None = None,
) -> Decision:
    """Register the published candidates, judge them in the order of validation, and set the aliases by the verdicts.

    Where `promote.approval` is required, what would be promoted is proposed and nothing moves until a call with a human's
    `say`. A no ends the proposal it was said of. After a yes all is decided anew, since the champion may have changed: it counts
    if the same candidate is still to replace the same champion, on the same test set, by the same gate.

    `reports` are evaluation folders; skipped models and other tasks are passed over. `evaluate_again` evaluates a
    model.keras on the current test set and answers the folder; it is called when the champion was tested on another.
    Repeating a decision changes nothing and writes nothing. Raises UsageError when there is no candidate, ServiceError
    when the registry cannot be read (the champion then stays what it is).
    """
    registry = registry or Registry(paths)
    folders = candidates(task, reports)
    gate: Gate = getattr(settings.promote, task)
    with registry.promoting(task), tempfile.TemporaryDirectory() as scratch:
        versions = {sha: register(registry, task, sha) for sha in folders}
        ranked = rank([evidence(folder) for folder in folders.values()], gate.metric)
        champion = registry.at(task, "champion")
        judge = _Judge(task, settings, gate, registry, evaluate_again, Path(scratch), say)
        judge.hear()
        return summed(judge.settle_in_turn(ranked, folders, versions, champion))


def candidates(task: str, reports: Sequence[Path]) -> dict[str, Path]:
    """Evaluation folders of the task by the hash of their model. Raises UsageError when there is none."""
    read = {folder: read_report(folder) for folder in reports}
    found = {report["model_sha256"]: folder for folder, report in read.items() if "skipped" not in report and report["task"] == task}
    if not found:
        raise UsageError(f"there is no evaluated {task} model: run `visionloop run --task {task}`")
    return found


def register(registry: Registry, task: str, model_sha256: str) -> Version:
    """The registered version of published weights. Raises UsageError when they were not published."""
    run = find_run(registry.store, task, model_sha256)
    if run is None:
        raise UsageError(f"the {task} model {model_sha256[:12]} is not published yet: run `visionloop run`")
    return registry.register(task, run.info.run_id)


class _Judge:
    """One promotion under the lock: what was seen, and what is done about it."""

    def __init__(
        self,
        task: str,
        settings: PromoteSettings,
        gate: Gate,
        registry: Registry,
        evaluate_again: EvaluateAgain | None,
        scratch: Path,
        say: Say | None = None,
    ) -> None:
        self.task, self.settings, self.gate, self.registry = task, settings, gate, registry
        self.evaluate_again, self.scratch = evaluate_again, scratch
        self.say, self.entries = say, registry.history(task)
        self.said_of = named(self.entries, say.key) if say is not None else None
        self.waits = False  # a proposal was made, so those behind it are not judged
        self.family: Sequence[Evidence] = ()
        self.compared: dict[str, Comparison] = {}
        self.evaluated: dict[str, Path] = {}

    def hear(self) -> None:
        """Record a no about what waits, whoever was trained since; a yes counts when all is decided anew."""
        waiting = awaits(self.entries)
        if self.say is None or self.say.is_yes or waiting is None or matter(waiting) != self.said_of:
            return
        entry = self._append(acts.note, refused(waiting, self.say))
        version = self.registry.numbered(self.task, waiting["candidate"]["version"])
        if version is not None:
            acts.tag_decision(self.registry, version, entry)

    def settle_in_turn(
        self, ranked: Sequence[Evidence], folders: Mapping[str, Path], versions: Mapping[str, Version], champion: Version | None
    ) -> list[tuple[Evidence, Decision]]:
        """Judge the candidates in the order of validation until one is promoted, then the others against it, until none is.

        The one that validation prefers is challenger unless it is champion.
        """
        decisions: list[tuple[Evidence, Decision]] = []
        judged, is_promoted = ranked, True
        while is_promoted:
            self._meet([one for one in judged if not _is(one, champion) and not versions[one.sha256].rolled_back])
            for one in judged:
                decisions.append((one, self.settle(one, folders, versions[one.sha256], champion)))
                is_promoted = decisions[-1][1].verdict == "promote"
                if is_promoted:
                    champion = versions[one.sha256]
                    judged = [other for other in ranked if not _is(other, champion)]
                if is_promoted or self.waits:
                    break
            is_promoted = is_promoted and bool(judged)
        self._withdraw([one.model for one in ranked])
        self._challenge(versions[ranked[0].sha256])
        acts.tell_runs(self.registry, versions.values(), self.entries)  # also of earlier rounds, where that failed or was not done yet
        return decisions

    def _meet(self, family: Sequence[Evidence]) -> None:
        """These candidates are judged together: each is allowed less chance, and all see the same resamples."""
        self.family, self.compared = family, {}

    def settle(self, chosen: Evidence, folders: Mapping[str, Path], version: Version, champion: Version | None) -> Decision:
        """Answer the recorded decision where there is one, otherwise decide and record; then set the aliases."""
        if champion is not None and champion.sha256 == chosen.sha256:
            return Decision("keep", [f"{chosen.model} is already champion"], None, self.gate.hash)
        if version.rolled_back:
            reason = f"{chosen.model} (version {version.number}) was rolled back at {version.rolled_back}: it is not promoted again"
            return Decision("keep", [reason], None, self.gate.hash)
        seen = self._seen(chosen, version, champion)
        is_approved, word = self._is_approved(matter(seen)), last_word(self.entries, matter(seen))
        if word is not None and is_no(word) and not is_approved:
            return _told(word)
        key = decision_key(chosen, champion, self.gate, self.family, (self.settings.promote.rounds, self.settings.seed))
        recorded = self._recorded(key)
        if recorded is not None and recorded["verdict"] not in ("refused", "promote"):
            return _told(recorded)
        # What was refused for want of evidence may have it now; what was promoted and is not champion was undone by hand.
        decision = self._decide(chosen, folders, champion)
        if decision.verdict == "promote" and self.settings.promote.approval == "required" and not is_approved:
            return self._propose({**seen, "key": key}, decision)
        if decision.verdict == "promote" or recorded is None or decision.reasons != recorded["reasons"]:
            self._record({**seen, "key": key}, decision, version, is_approved=is_approved)
        return decision

    def _decide(self, chosen: Evidence, folders: Mapping[str, Path], champion: Version | None) -> Decision:
        if champion is None:
            return decide(chosen, None, self.gate)
        folder = self._champion_folder(champion, chosen, folders)
        theirs, seed, rounds = evidence(folder), self.settings.seed, self.settings.promote.rounds
        if theirs.test_digest != chosen.test_digest:
            return decide(chosen, theirs, self.gate)
        if not self.compared:
            met = {one.sha256: folders[one.sha256] for one in self.family if one.test_digest == chosen.test_digest}
            drawn = Drawn(seed, rounds, self._tried_before(champion, chosen.test_digest))
            self.compared = compare(self.task, self.gate.metric, met, folder, drawn)
        falls = measure(self.task, self.gate, folders[chosen.sha256], folder, seed, rounds)
        return decide(chosen, theirs, self.gate, self.compared[chosen.sha256], falls)

    def _champion_folder(self, champion: Version, chosen: Evidence, folders: Mapping[str, Path]) -> Path:
        """The champion's evaluation on the test set of the chosen, with all that the gate guards, made anew where it is not."""
        folder = self.evaluated.get(champion.sha256) or folders.get(champion.sha256) or self.registry.evaluation(champion, self.scratch)
        own = folders[chosen.sha256]
        lacks = missing(self.gate, own, folder) and not missing(self.gate, own, own)
        if self.evaluate_again is None or (evidence(folder).test_digest == chosen.test_digest and not lacks):
            return folder
        again = self.evaluate_again(self.registry.model_file(champion, self.scratch))
        if evidence(again).sha256 != champion.sha256:
            raise DataError(f"{again} is an evaluation of {evidence(again).sha256[:12]}, expected the champion {champion.sha256[:12]}")
        self.evaluated[champion.sha256] = again
        return again

    def _tried_before(self, champion: Version, test_digest: str) -> int:
        """How many models, of those not judged now, met this champion on these test images and did not replace it."""
        judged = {one.sha256 for one in self.family}
        met = (entry for entry in self.entries if entry["event"] == "decision" and entry["comparison"] and entry["verdict"] != "promote")
        against = (entry for entry in met if entry["champion"]["sha256"] == champion.sha256 and entry.get("test_digest") == test_digest)
        return len({entry["candidate"]["sha256"] for entry in against} - judged)

    def _recorded(self, key: str) -> dict[str, Any] | None:
        """The last decision of this key that no human made."""
        mine = (entry for entry in reversed(self.entries) if entry["event"] == "decision" and entry.get("key") == key)
        return next((entry for entry in mine if not is_no(entry)), None)

    def _is_approved(self, about: Matter) -> bool:
        return self.say is not None and self.say.is_yes and self.said_of == about

    def _propose(self, seen: Mapping[str, Any], decision: Decision) -> Decision:
        self.waits, waiting = True, awaits(self.entries)
        if waiting is None or waiting["key"] != seen["key"]:
            self._append(acts.note, self._entry("proposal", seen, decision) | {"verdict": PENDING})
        return proposal(decision, self.task)

    def _withdraw(self, judged: Sequence[str]) -> None:
        """A proposal waits no longer when its model, perhaps trained anew, was judged and nothing was proposed."""
        waiting = awaits(self.entries)
        if waiting is not None and not self.waits and waiting["candidate"]["model"] in judged:
            told = f"version {waiting['candidate']['version']} ({waiting['candidate']['model']})"
            reasons = [f"{told} would not be promoted now: it waits no longer"]
            self._append(acts.note, {"task": self.task, "event": "void", "of": waiting["number"], "reasons": reasons})

    def _record(self, seen: Mapping[str, Any], decision: Decision, version: Version, *, is_approved: bool) -> None:
        entry = self._entry("decision", seen, decision)
        if decision.verdict == "promote":
            approval = {"approval": self.say.told()} if self.say is not None and is_approved else {}
            moved = {"from": seen["champion"], "to": seen["candidate"]}
            acts.apply(self.registry, self._append(acts.record, entry | moved | approval))
        else:
            acts.tag_decision(self.registry, version, self._append(acts.note, entry))

    def _append(self, how: Callable[[Registry, Mapping[str, Any]], dict[str, Any]], entry: Mapping[str, Any]) -> dict[str, Any]:
        self.entries.append(written := how(self.registry, entry))
        return written

    def _seen(self, chosen: Evidence, version: Version, champion: Version | None) -> dict[str, Any]:
        """What is judged, against whom, on what and by which gate."""
        return {
            "task": self.task,
            "candidate": version.named(),
            "champion": champion.named() if champion else None,
            "test_digest": chosen.test_digest,
            "gate": asdict(self.gate),
            "gate_hash": self.gate.hash,
        }

    def _entry(self, event: str, seen: Mapping[str, Any], decision: Decision) -> dict[str, Any]:
        return {
            **seen,
            "event": event,
            "verdict": decision.verdict,
            "reasons": decision.reasons,
            "comparison": _plain(decision.comparison),
            "guards": [asdict(one) for one in decision.guards],
        }

    def _challenge(self, best: Version) -> None:
        """The candidate that validation prefers is challenger, unless it is champion: then there is none."""
        champion, challenger = self.registry.at(self.task, "champion"), self.registry.at(self.task, "challenger")
        if champion is not None and champion.sha256 == best.sha256:
            if challenger is not None:
                self.registry.release(self.task, "challenger")
        elif challenger is None or challenger.sha256 != best.sha256:
            self.registry.assign(best, "challenger")


def decision_key(chosen: Evidence, champion: Version | None, gate: Gate, family: Sequence[Evidence], drawn: tuple[int, int]) -> str:
    """The same candidate as evaluated, champion, test set, gate, resamples and candidates judged with it have the same decision."""
    others = [one.sha256 for one in family]
    known = [chosen.sha256, champion.sha256 if champion else "none", chosen.test_digest, gate.hash, *others, chosen.evaluation, str(drawn)]
    return hashlib.sha256("\n".join(known).encode()).hexdigest()


def _told(entry: Mapping[str, Any]) -> Decision:
    """The decision that an entry of the ledger holds."""
    comparison = Comparison(**entry["comparison"]) if entry["comparison"] else None
    guards = [Guarded(**one) for one in entry.get("guards", [])]
    return Decision(entry["verdict"], entry["reasons"], comparison, entry["gate_hash"], guards)


def _is(one: Evidence, champion: Version | None) -> bool:
    return champion is not None and one.sha256 == champion.sha256


def _plain(comparison: Any) -> dict[str, Any] | None:
    # JSON has no NaN; the reasons say that the difference is undefined.
    return asdict(comparison) if comparison is not None and math.isfinite(comparison.low + comparison.high) else None
