"""From evaluated candidates to aliases: the decision is applied once, whoever repeats it and wherever it was cut."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import f1_score

from components.errors import DataError, UsageError
from components.promote import Decision
from pipelines.digest import sha256
from pipelines.evidence import Drawn, compare, macro_f1
from pipelines.paths import Paths
from pipelines.promote import promote
from pipelines.registry import Registry
from pipelines.rollback import rollback
from pipelines.tracking import Tracking
from tests.pipelines.fabricate import Made, classifier, settings, write_evaluation

TASK = "classification"


def made(paths: Paths, name: str, wrong: int, seed: int, test_digest: str = "t" * 64, **metrics: float) -> Made:
    candidate = classifier(paths, name, wrong, seed=seed, test_digest=test_digest, **metrics)
    Tracking(paths).publish(candidate.model_dir, candidate.evaluate_dir)
    return candidate


def write_corrupted(folder: Path, wrong: int) -> None:
    """Every fourth image under two corruptions, each at one severity; the first `wrong` of the 120 are wrong."""
    rows = [
        {"image_id": f"image{index:03}", "corruption": name, "severity": index % 5 + 1, "found": float(index >= wrong), "wanted": 1}
        for index in range(0, 120, 4)
        for name in ("blur", "noise")
    ]
    pd.DataFrame(rows).to_parquet(folder / "corrupted.parquet", index=False)


def judged(paths: Paths, *candidates: Made, **gate: object) -> Decision:
    return promote(TASK, paths, settings(**gate), [candidate.evaluate_dir for candidate in candidates])


def aliases(registry: Registry) -> dict[str, str | None]:
    found = {alias: registry.at(TASK, alias) for alias in ("champion", "challenger", "previous")}  # type: ignore[arg-type]
    return {alias: version.model if version else None for alias, version in found.items()}


def verdicts(registry: Registry) -> Sequence[str]:
    return [entry.get("verdict", entry["event"]) for entry in registry.history(TASK)]


def test_the_first_champion_then_a_better_one(paths: Paths, registry: Registry) -> None:
    old = made(paths, "old", 40, 1)
    assert judged(paths, old).verdict == "promote"
    assert aliases(registry) == {"champion": "old", "challenger": None, "previous": None}
    new = made(paths, "new", 4, 2)
    decision = judged(paths, old, new)
    assert decision.verdict == "promote"
    assert decision.comparison is not None and decision.comparison.difference == pytest.approx(0.3)
    assert aliases(registry) == {"champion": "new", "challenger": None, "previous": "old"}
    assert verdicts(registry) == ["promote", "promote", "keep"]  # the last: old, judged against new
    entry = registry.history(TASK)[1]
    assert (entry["candidate"]["model"], entry["champion"]["model"]) == ("new", "old")
    assert decision.reasons[0] == f"new: promote: {entry['reasons'][0]}"


def test_where_validation_prefers_a_model_that_the_test_refuses_the_next_one_is_judged(paths: Paths, registry: Registry) -> None:
    preferred = made(paths, "preferred", 90, 1, **{"val/accuracy": 0.99})
    sound = made(paths, "sound", 10, 2, **{"val/accuracy": 0.5})
    decision = judged(paths, preferred, sound, floor=0.5)
    assert decision.verdict == "promote"
    assert [" ".join(reason.split(":")[:2]) for reason in decision.reasons[:3]] == [
        "preferred  refused",
        "sound  promote",
        "preferred  keep",
    ]
    assert aliases(registry) == {"champion": "sound", "challenger": "preferred", "previous": None}
    assert verdicts(registry) == ["refused", "promote", "keep"]
    assert judged(paths, preferred, sound, floor=0.5).verdict == "keep"
    assert aliases(registry)["champion"] == "sound"
    assert verdicts(registry) == ["refused", "promote", "keep"]


def test_a_weak_first_champion_is_replaced_in_the_same_round(paths: Paths, registry: Registry) -> None:
    weak = made(paths, "weak", 50, 1, **{"val/accuracy": 0.99})
    strong, equal = made(paths, "strong", 5, 2, **{"val/accuracy": 0.8}), made(paths, "equal", 4, 3, **{"val/accuracy": 0.7})
    decision = judged(paths, weak, strong, equal)
    assert decision.verdict == "promote"
    said = [" ".join(reason.split(":")[:2]) for reason in decision.reasons]
    assert list(dict.fromkeys(said)) == ["weak  promote", "strong  promote", "weak  keep", "equal  inconclusive"]
    assert aliases(registry) == {"champion": "strong", "challenger": "weak", "previous": "weak"}
    before = registry.ledger.path.read_bytes()
    assert judged(paths, weak, strong, equal).verdict == "keep"
    assert registry.ledger.path.read_bytes() == before


def test_of_two_that_surely_beat_the_champion_validation_chooses(paths: Paths, registry: Registry) -> None:
    judged(paths, made(paths, "old", 50, 1))
    preferred = made(paths, "preferred", 6, 2, **{"val/accuracy": 0.95})
    better_tested = made(paths, "better_tested", 5, 3, **{"val/accuracy": 0.9})
    judged(paths, preferred, better_tested)
    assert aliases(registry)["champion"] == "preferred"


def test_models_tried_before_on_the_same_test_images_raise_the_bar_and_new_images_lower_it(paths: Paths, registry: Registry) -> None:
    champion = made(paths, "champion", 20, 1)
    judged(paths, champion)
    for seed in range(2, 6):
        again = made(paths, "again", 20, seed)
        for _ in range(2):  # judged twice, counted once
            judged(paths, champion, again)
    better = made(paths, "better", 8, 7)
    decision = judged(paths, champion, better)
    assert decision.verdict == "inconclusive"
    assert (
        "over 60 groups, wider than 95 % since 4 other models were tried on them before (new test images start anew)" in decision.reasons[0]
    )
    entries = registry.history(TASK)
    assert [entry["comparison"]["earlier"] for entry in entries[1:]] == [0, 1, 2, 3, 4]
    for one, name, wrong in ((champion, "champion", 20), (better, "better", 8)):
        write_evaluation(one.evaluate_dir, name, one.sha256, wrong, "n" * 64, {})
    assert judged(paths, champion, better).verdict == "promote"
    assert registry.history(TASK)[len(entries)]["comparison"]["earlier"] == 0


def test_what_was_kept_is_judged_again_when_it_was_evaluated_anew_or_the_resamples_changed(paths: Paths, registry: Registry) -> None:
    judged(paths, made(paths, "old", 40, 1, **{"cost/latency_ms": 2.0}))
    slow = made(paths, "new", 4, 2, **{"cost/latency_ms": 50.0})
    gate = {"max_latency_ratio": 3.0}
    assert judged(paths, slow, **gate).verdict == "keep"
    before = len(registry.history(TASK))
    assert judged(paths, slow, **gate).verdict == "keep"
    assert len(registry.history(TASK)) == before
    report = json.loads((slow.evaluate_dir / "report.json").read_text())
    report["metrics"]["cost/latency_ms"] = 2.0
    (slow.evaluate_dir / "report.json").write_text(json.dumps(report))
    assert judged(paths, slow, **gate).verdict == "promote"


def test_the_guards_and_their_outcomes_are_in_the_ledger(paths: Paths, registry: Registry) -> None:
    old, new = made(paths, "old", 40, 1), made(paths, "new", 4, 2)
    judged(paths, old)
    decision = judged(paths, new)
    entry = registry.history(TASK)[-1]
    assert [(one["name"], one["outcome"]) for one in entry["guards"]] == [("apple", "passes"), ("banana", "passes"), ("pear", "passes")]
    assert entry["comparison"]["units"] == 60 and entry["comparison"]["error"] > 0
    assert judged(paths, new).verdict == "keep" and decision.guards[0].images == 40


def test_a_champion_without_what_is_guarded_is_evaluated_again(paths: Paths, registry: Registry) -> None:
    old, new = made(paths, "old", 40, 1), made(paths, "new", 4, 2)
    judged(paths, old)
    write_corrupted(new.evaluate_dir, 4)
    refused = judged(paths, new, max_corruption_drop=0.1)
    assert refused.verdict == "refused"
    assert "run the evaluate stage again" in refused.reasons[0] and "null" in refused.reasons[0]

    def again(model: Path) -> Path:
        assert sha256(model) == old.sha256
        write_evaluation(paths.outputs / "again", "old", old.sha256, 40, "t" * 64, {})
        write_corrupted(paths.outputs / "again", 40)
        return paths.outputs / "again"

    decision = promote(TASK, paths, settings(max_corruption_drop=0.1), [new.evaluate_dir], again)
    assert decision.verdict == "promote"
    assert [one.name for one in decision.guards if one.kind == "corruption"] == ["blur", "noise", "of every kind"]


def test_repeating_changes_and_writes_nothing(paths: Paths, registry: Registry) -> None:
    old, slightly_better = made(paths, "old", 40, 1), made(paths, "slightly_better", 39, 2)
    assert judged(paths, old).verdict == "promote"
    first = judged(paths, old, slightly_better)
    assert first.verdict == "inconclusive"
    assert aliases(registry) == {"champion": "old", "challenger": "slightly_better", "previous": None}
    before = registry.ledger.path.read_bytes()
    assert judged(paths, old, slightly_better) == first
    assert judged(paths, old).reasons == ["old is already champion"]
    assert registry.ledger.path.read_bytes() == before
    assert len(registry.store.client.search_model_versions("name = 'classifier'")) == 2


def told(registry: Registry, verdict: str) -> list[str]:
    """The models whose runs MLflow finds by their verdict."""
    return sorted(run.data.tags["visionloop.model"] for run in registry.store.runs(TASK, f"tags.`visionloop.verdict` = '{verdict}'"))


def test_the_runs_table_is_filtered_by_verdict(paths: Paths, registry: Registry) -> None:
    old, new = made(paths, "old", 40, 1), made(paths, "new", 4, 2)
    judged(paths, old)
    assert (told(registry, "promote"), told(registry, "keep")) == (["old"], [])
    judged(paths, old, new)
    assert (told(registry, "promote"), told(registry, "keep")) == (["new"], ["old"])
    (run,) = registry.store.runs(TASK, "tags.`visionloop.verdict` = 'keep'")
    assert run.data.tags["visionloop.reasons"] == "; ".join(registry.history(TASK)[-1]["reasons"])


def test_a_run_that_cannot_be_told_stops_no_promotion_and_is_told_by_the_next_round(
    paths: Paths, registry: Registry, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    old, new = made(paths, "old", 40, 1), made(paths, "new", 4, 2)
    judged(paths, old)

    def refused(*_: object) -> None:
        raise OSError("the run is read-only")

    with monkeypatch.context() as patch:
        patch.setattr("mlflow.MlflowClient.set_tag", refused)
        assert judged(paths, old, new).verdict == "promote"
    assert aliases(registry) == {"champion": "new", "challenger": None, "previous": "old"}
    assert registry.settled(TASK).number == 3 and "not in every run: the run is read-only" in caplog.text
    assert (told(registry, "promote"), told(registry, "keep")) == (["old"], [])
    before = registry.ledger.path.read_bytes()
    judged(paths, old, new)
    assert (told(registry, "promote"), told(registry, "keep")) == (["new"], ["old"])
    assert registry.ledger.path.read_bytes() == before


def test_another_gate_is_another_decision(paths: Paths, registry: Registry) -> None:
    old, new = made(paths, "old", 40, 1), made(paths, "new", 20, 2)
    judged(paths, old)
    assert judged(paths, new, margin=0.5).verdict == "keep"
    assert judged(paths, new).verdict == "promote"
    assert verdicts(registry) == ["promote", "keep", "promote"]


def test_below_the_floor_there_is_no_champion(paths: Paths, registry: Registry) -> None:
    assert judged(paths, made(paths, "poor", 100, 1)).verdict == "refused"
    assert aliases(registry) == {"champion": None, "challenger": "poor", "previous": None}


@pytest.mark.parametrize("survived", [0, 1, 2])
def test_a_promotion_cut_at_any_alias_is_completed_by_the_next(
    paths: Paths, registry: Registry, monkeypatch: pytest.MonkeyPatch, survived: int
) -> None:
    old, new = made(paths, "old", 40, 1), made(paths, "new", 4, 2)
    judged(paths, old)
    calls: list[str] = []
    assign = Registry.assign

    def cut(self: Registry, version: object, alias: str) -> None:
        if len(calls) == survived:
            raise KeyboardInterrupt
        calls.append(alias)
        assign(self, version, alias)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(Registry, "assign", cut)
        if survived < 2:
            with pytest.raises(KeyboardInterrupt):
                judged(paths, new)
            assert aliases(registry)["champion"] == "old"
        else:
            judged(paths, new)
    judged(paths, new)
    assert aliases(registry) == {"champion": "new", "challenger": None, "previous": "old"}
    assert verdicts(registry) == ["promote", "promote"]


def test_what_was_rolled_back_is_not_promoted_again(paths: Paths, registry: Registry) -> None:
    old, new = made(paths, "old", 40, 1), made(paths, "new", 4, 2)
    judged(paths, old)
    judged(paths, new)
    rollback(registry, paths, TASK)
    decision = judged(paths, old, new)
    assert (decision.verdict, aliases(registry)["champion"]) == ("keep", "old")
    assert "rolled back" in decision.reasons[0]
    assert judged(paths, made(paths, "newer", 2, 3)).verdict == "promote"


def test_a_champion_of_another_test_set_is_evaluated_again(paths: Paths, registry: Registry) -> None:
    old = made(paths, "old", 40, 1, test_digest="a" * 64)
    judged(paths, old)
    new = made(paths, "new", 30, 2, test_digest="b" * 64)
    assert judged(paths, new).verdict == "refused"
    seen: list[str] = []

    def again(model: Path) -> Path:
        seen.append(sha256(model))
        write_evaluation(paths.outputs / "again", "old", old.sha256, 90, "b" * 64, {})
        return paths.outputs / "again"

    decision = promote(TASK, paths, settings(), [new.evaluate_dir], again)
    assert seen == [old.sha256]
    assert decision.verdict == "promote"
    assert decision.comparison is not None and decision.comparison.difference == pytest.approx(0.5)
    assert aliases(registry)["champion"] == "new"


def test_without_a_published_candidate_nothing_is_decided(paths: Paths) -> None:
    skipped = paths.evaluate("yolo")
    skipped.mkdir(parents=True)
    (skipped / "report.json").write_text('{"skipped": "no data"}')
    with pytest.raises(UsageError, match="no evaluated classification model"):
        promote(TASK, paths, settings(), [skipped])
    unpublished = classifier(paths, "cnn", 3)
    with pytest.raises(UsageError, match="not published"):
        judged(paths, unpublished)


def test_an_unknown_metric_is_named_with_the_nearest(paths: Paths) -> None:
    old, new = made(paths, "old", 40, 1, **{"val/acuracy": 0.6, "test/acuracy": 0.6}), made(paths, "new", 4, 2)
    judged(paths, old)
    (report := json.loads((new.evaluate_dir / "report.json").read_text()))["metrics"].update({"val/acuracy": 0.9, "test/acuracy": 0.9})
    (new.evaluate_dir / "report.json").write_text(json.dumps(report))
    with pytest.raises(UsageError, match="did you mean accuracy"):
        judged(paths, new, metric="acuracy")


def test_macro_f1_is_that_of_scikit_learn_on_repeated_images() -> None:
    random = np.random.default_rng(0)
    truth, predicted, weights = (random.integers(0, 4, 200) for _ in range(3))
    reference = f1_score(np.repeat(truth, weights), np.repeat(predicted, weights), average="macro")
    assert macro_f1(truth, predicted, np.stack([weights, 2 * weights]), 6) == pytest.approx([reference] * 2)


def test_predictions_of_other_images_are_not_compared(paths: Paths) -> None:
    one, two = paths.evaluate("one"), paths.evaluate("two")
    for folder in (one, two):
        write_evaluation(folder, folder.name, "m" * 64, 10, "t" * 64, {})
    table = pd.read_parquet(two / "predictions.parquet")
    table.iloc[1:].to_parquet(two / "predictions.parquet")
    with pytest.raises(DataError, match="not the same ones"):
        compare(TASK, "accuracy", {"one": one}, two, Drawn(0, 10))


@pytest.mark.parametrize("metric", ["accuracy", "macro_f1"])
def test_mcnemar_is_told_only_where_no_images_are_grouped(tmp_path: Path, metric: str) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    for folder, wrong in ((one, 10), (two, 16)):
        write_evaluation(folder, folder.name, "m" * 64, wrong, "t" * 64, {})
    grouped = compare(TASK, metric, {"one": one}, two, Drawn(0, 50))["one"]
    assert (grouped.unit, grouped.units, grouped.mcnemar) == ("group", 60, None)
    for folder in (one, two):
        table = pd.read_parquet(folder / "predictions.parquet")
        table.assign(group_id=table["image_id"]).to_parquet(folder / "predictions.parquet")
    alone = compare(TASK, metric, {"one": one}, two, Drawn(0, 50))["one"]
    # Six images gained and none lost: 2 / 2^6, less half of it.
    assert (alone.unit, alone.gained, alone.lost, alone.mcnemar) == ("image", 6, 0, 1 / 64)


def detection_folder(folder: Path, found: int) -> Path:
    """20 photographs with one tree each; the first `found` are found exactly, the others missed by far."""
    folder.mkdir(parents=True)
    images = [f"image{index:02}" for index in range(20)]
    truth = {
        "image_id": images,
        "group_id": images,
        "split": "test",
        "label": "tree",
        "x_min": 0.1,
        "y_min": 0.1,
        "x_max": 0.3,
        "y_max": 0.3,
    }
    pd.DataFrame({**truth, "is_crowd": False, "is_difficult": False}).to_parquet(folder / "truth.parquet")
    shift = np.where(np.arange(20) < found, 0.0, 0.5)
    boxes = {name: value + shift for name, value in (("x_min", 0.1), ("y_min", 0.1), ("x_max", 0.3), ("y_max", 0.3))}
    rows = {"image_id": images, "split": "test", "label": "tree", **boxes, "confidence": np.linspace(0.9, 0.5, 20)}
    pd.DataFrame(rows).to_parquet(folder / "predictions.parquet")
    (folder / "report.json").write_text(json.dumps({"classes": ["tree"]}))
    return folder


@pytest.mark.parametrize("metric", ["map50", "map"])
def test_detectors_are_compared_by_average_precision(tmp_path: Path, metric: str) -> None:
    half, all_found = detection_folder(tmp_path / "half", 10), detection_folder(tmp_path / "all", 20)
    found = compare("detection", metric, {"all": all_found}, half, Drawn(0, 200))["all"]
    # All ten right ones come first: precision 1 up to recall 0.5, so 51 of the 101 recall points count.
    assert found.difference == pytest.approx(1 - 51 / 101)
    assert 0.2 < found.low < found.difference < found.high < 0.8
    assert (found.units, found.unit) == (20, "image")
    same = compare("detection", metric, {"half": half}, half, Drawn(0, 20))["half"]
    assert (same.difference, same.error) == (0.0, 1 / 20)
