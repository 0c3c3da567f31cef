"""What another seed would have given: trainings that differ in nothing but their seed, and how far apart they came out."""

import json
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Number:
    """Mean and standard deviation (n - 1) of a metric over the seeds."""

    mean: float
    deviation: float

    def __str__(self) -> str:
        return f"{self.mean:.3f} ± {self.deviation:.3f}"


@dataclass(frozen=True)
class Spread:
    """Models of one task that were trained on the same data by the same block, with the `seeds`, in order; two at least.

    `metrics` has those that were measured for every seed.
    """

    task: str
    models: list[str]
    seeds: list[int]
    metrics: dict[str, Number]

    def in_words(self) -> str:
        """One line."""
        numbers = "".join(f", {name} {number}" for name, number in self.metrics.items())
        return f"{', '.join(self.models)}: {len(self.seeds)} seeds{numbers}"


def spreads(reports: Iterable[Mapping[str, Any]], metrics: Mapping[str, Sequence[str]]) -> list[Spread]:
    """The spreads of evaluation reports, in their order; `metrics` are the names by task. What has no sibling is in none.

    Two models of the same block and the same seed are one training, and count once.
    """
    alike: dict[str, list[Mapping[str, Any]]] = {}
    for report in reports:
        if "seed" in report.get("params", {}):
            alike.setdefault(_all_but_the_seed(report), []).append(report)
    found = [_spread(group, metrics[group[0]["task"]]) for group in alike.values()]
    return [one for one in found if len(one.seeds) > 1]


def _all_but_the_seed(report: Mapping[str, Any]) -> str:
    settings = {name: value for name, value in report["params"].items() if name != "seed"}
    return json.dumps([report["task"], report["data_digest"], report["test_digest"], settings], sort_keys=True)


def _spread(reports: Sequence[Mapping[str, Any]], names: Sequence[str]) -> Spread:
    by_seed = {report["params"]["seed"]: report for report in reversed(reports)}
    values = {name: [report["metrics"].get(name) for report in by_seed.values()] for name in names}
    numbers = {
        name: Number(statistics.mean(found), statistics.stdev(found))
        for name, found in values.items()
        if len(found) > 1 and None not in found
    }
    return Spread(reports[0]["task"], [report["model"] for report in reports], sorted(by_seed), numbers)
