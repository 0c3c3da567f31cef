"""Can a promotion be believed? Thousands of simulated rounds of models whose true accuracy is known, judged by the product's code.

    python -m benchmarks.promotion [--rounds 1000] [--seed 0] [--only equal turns power coverage detection guards]

Every round draws new test images and new answers, and asks components/evaluate/compare.py and components/promote.py, with
the gate and the number of resamples of params.yaml. Prints

- equal: 1 and 20 candidates as good as the champion; in how many rounds one is promoted all the same, with the
  95 % Clopper-Pearson interval. Guards are off, because they could only stop promotions.
- turns: 20 models as good as the champion, tried in 20 rounds on the same test images; and how a truly better one fares then.
- power: one candidate that is truly better by 3 points, alone and among 20, on 1,000 test images; among 20 it is placed by
  500 simulated validation images.
- coverage: in how many rounds the 95 % interval holds the true difference, beside the percentile interval of before.
- detection: the same of map50 on a few photographs of ten boxes, whose true difference is that of 20,000 photographs.
- guards: with 14 classes and 20 slices, how often a candidate that is better by 3 points everywhere is stopped, and one that
  fell in a single class is caught.

How models answer: image i is right for model m where a_m > sqrt(r) x_i + sqrt(1 - r) e_mi, with normal x and e, and a_m such
that the accuracy comes out. r = SHARED is what models find hard together. At 0.8 two models of accuracy 0.75 answer 84 %
of images both right or both wrong; real ones, too, agree far beyond what their accuracies imply (Mania et al. 2019,
https://arxiv.org/abs/1905.12580). In groups, x and e are shared by half (TOGETHER) among the images of one group, whose sizes are
1 + geometric of mean 4, at most 30.
"""

import argparse
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy import special, stats

from components.evaluate.compare import Comparison, paired_bootstrap, share
from components.evaluate.detection_draws import mean_average_precision
from components.evaluate.detection_matches import ClassMatches, Matches, average_precision
from components.evaluate.falls import Kind, Part, falls
from components.gate import Gate
from components.guards import guarded
from components.promote import Evidence, decide, rank
from pipelines import settings

ROOT = Path(__file__).resolve().parent.parent
SHARED, TOGETHER = 0.8, 0.5
MANY = 20
POINTS = 0.03
VALIDATION = 500  # images
COVERED = (60, 120, 250, 661)  # images
ACCURACIES = (0.6, 0.8, 0.9, 0.95)
PHOTOGRAPHS, BOXES, FALSE = (12, 30, 100), 10, 0.3


def group_ids(images: int, is_grouped: bool, random: np.random.Generator) -> np.ndarray:
    """(images,): every image by itself, or in groups of unequal size."""
    if not is_grouped:
        return np.arange(images)
    return np.repeat(np.arange(images), np.minimum(1 + random.geometric(1 / 4, images), 30))[:images]


def answers(accuracies: Sequence[float], groups: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Right answers (models, images), 1.0 or 0.0."""
    images, count = len(groups), int(groups.max()) + 1
    is_grouped = count < images

    def field(rows: int) -> np.ndarray:
        own = random.normal(size=(rows, images))
        if not is_grouped:
            return own
        return np.sqrt(TOGETHER) * random.normal(size=(rows, count))[:, groups] + np.sqrt(1 - TOGETHER) * own

    hard, luck = field(1), field(len(accuracies))
    return (special.ndtri(np.array(accuracies))[:, None] > np.sqrt(SHARED) * hard + np.sqrt(1 - SHARED) * luck).astype(np.float64)


def evidence(name: str, test: float, validation: float = 0.0) -> Evidence:
    """What the product knows of a model."""
    return Evidence(name, "classification", name, "the same", {"test/accuracy": test, "val/accuracy": validation})


def unguarded(gate: Gate) -> Gate:
    """The gate without what is no matter of accuracy."""
    names = ("recall_drop", "slice_drop", "corruption_drop", "size_ratio", "latency_ratio", "megabytes", "ece_rise")
    return replace(gate, **{f"max_{name}": None for name in names}, latency_ms=None)  # type: ignore[arg-type]


def promoted(correct: np.ndarray, groups: np.ndarray, gate: Gate, seed: int, resampled: int, earlier: int = 0) -> bool:
    """Whether one of the candidates (rows after the first) in the order of validation becomes champion."""
    found = paired_bootstrap(share(correct), groups, seed, resampled, earlier=earlier)
    champion, *candidates = [evidence(str(number), float(row.mean())) for number, row in enumerate(correct)]
    return any(decide(one, champion, gate, comparison).verdict == "promote" for one, comparison in zip(candidates, found, strict=True))


def tell(words: str, hits: int, rounds: int) -> None:
    """A share with its Clopper-Pearson interval."""
    low, high = stats.binomtest(hits, rounds).proportion_ci(method="exact")
    print(f"{words:70} {hits / rounds:7.1%}   {low:.1%} to {high:.1%}", flush=True)


def equal(gate: Gate, resampled: int, rounds: int, seed: int) -> None:
    """False promotions."""
    print(f"\nequal models, {rounds} rounds: promoted all the same")
    for images, is_grouped, accuracy in ((661, False, 0.85), (300, True, 0.85), (1000, False, 0.75)):
        for candidates in (1, MANY):
            hits = 0
            for number in range(rounds):
                random = np.random.default_rng((seed, 1, number))
                groups = group_ids(images, is_grouped, random)
                hits += promoted(answers([accuracy] * (1 + candidates), groups, random), groups, gate, number, resampled)
            kind = "images in groups" if is_grouped else "images"
            tell(f"{images} {kind}, accuracy {accuracy}, {candidates} candidate{'s' * (candidates > 1)}", hits, rounds)


def turns(gate: Gate, resampled: int, rounds: int, seed: int) -> None:
    """False promotions of models tried one after the other, and what is left of the power."""
    print(f"\n{MANY} equal models tried one after the other, {rounds} rounds: one was promoted")
    for images, accuracy in ((661, 0.85), (1000, 0.75)):
        for words, counts in (("each judged as if it were the first", [0] * MANY), ("those before counted", range(MANY))):
            hits = 0
            for number in range(rounds):
                correct = answers([accuracy] * (1 + MANY), np.arange(images), np.random.default_rng((seed, 6, number)))
                tries = (
                    promoted(correct[[0, 1 + k]], np.arange(images), gate, number, resampled, earlier) for k, earlier in enumerate(counts)
                )
                hits += any(tries)
            tell(f"{images} images, accuracy {accuracy}, {words}", hits, rounds)
    print(f"\ntruly better by {POINTS:.0%} on 1000 images at accuracy 0.85, {rounds} rounds: promoted")
    for earlier in (0, 1, 4, MANY - 1):
        hits = 0
        for number in range(rounds):
            correct = answers([0.85, 0.85 + POINTS], np.arange(1000), np.random.default_rng((seed, 7, number)))
            hits += promoted(correct, np.arange(1000), gate, number, resampled, earlier)
        tell(f"after {earlier} others", hits, rounds)


def power(gate: Gate, resampled: int, rounds: int, seed: int) -> None:
    """True promotions."""
    print(f"\ntruly better by {POINTS:.0%} on 1000 images, {rounds} rounds: promoted")
    for accuracy in (0.75, 0.85, 0.9, 0.95):
        for candidates in (1, MANY):
            hits = agree = 0.0
            accuracies = [accuracy, accuracy + POINTS, *[accuracy] * (candidates - 1)]
            for number in range(rounds):
                random = np.random.default_rng((seed, 2, number))
                validation = answers(accuracies, np.arange(VALIDATION), random).mean(axis=1)
                named = [evidence(str(k), 0.0, float(validation[k])) for k in range(1, len(accuracies))]
                order = [0, *(int(one.model) for one in rank(named, gate.metric))]
                correct = answers(accuracies, np.arange(1000), random)
                agree += float((correct[0] == correct[1]).mean()) / rounds
                hits += promoted(correct[order], np.arange(1000), gate, number, resampled)
            words = f"accuracy {accuracy}, both right or both wrong on {agree:.0%}, {candidates} candidate{'s' * (candidates > 1)}"
            tell(words, int(hits), rounds)


def both_intervals(correct: np.ndarray, groups: np.ndarray, seed: int, resampled: int) -> tuple[Comparison, tuple[float, float]]:
    """The interval, and the percentile interval of before, of the same resamples."""
    seen = []

    def scores(weights: np.ndarray) -> np.ndarray:
        seen.append(share(correct)(weights))
        return seen[-1]

    found = paired_bootstrap(scores, groups, seed, resampled)[0]
    low, high = np.percentile(np.diff(np.concatenate(seen[1:]), axis=1), [2.5, 97.5])  # the first is the whole test set
    return found, (float(low), float(high))


def holds(found: Comparison, truth: float) -> bool:
    """Whether the interval covers it."""
    return found.low <= truth <= found.high


def coverage(resampled: int, rounds: int, seed: int) -> None:
    """Coverage of the interval and of the one before."""
    print(
        f"\n95 % intervals of one candidate, {rounds} rounds a number: hold the true difference of 0 and of {POINTS} (percentile interval)"
    )
    print(f"{'':28}" + "".join(f"accuracy {accuracy:<18}" for accuracy in ACCURACIES))
    for images in COVERED:
        for is_grouped in (False, True):
            cells = []
            for accuracy in ACCURACIES:
                hits = np.zeros((2, 2))
                for side, truth in enumerate((0.0, POINTS)):
                    for number in range(rounds):
                        random = np.random.default_rng((seed, 3, side, number))
                        groups = group_ids(images, is_grouped, random)
                        correct = answers([accuracy - truth, accuracy], groups, random)
                        found, (low, high) = both_intervals(correct, groups, number, resampled)
                        hits[0, side] += holds(found, truth)
                        hits[1, side] += low <= truth <= high
                now, before = (hits / rounds).tolist()
                cells.append(f"{now[0]:.1%} {now[1]:.1%} ({before[0]:.0%} {before[1]:.0%})  ")
            print(f"{images:5} images{', in groups' if is_grouped else '':12} " + " ".join(f"{cell:26}" for cell in cells), flush=True)


def photographs(count: int, hit: float, random: np.random.Generator, hard: np.ndarray) -> Matches:
    """One model's detections: each of BOXES boxes of a photograph is found or not, the easier the surer, and FALSE more are false."""
    ease = special.ndtri(hit) - np.sqrt(SHARED) * hard.ravel() - np.sqrt(1 - SHARED) * random.normal(size=count * BOXES)
    false = round(FALSE * count * BOXES)
    image = np.concatenate([np.repeat(np.arange(count), BOXES)[ease > 0], random.integers(count, size=false)])
    confidence = np.concatenate([special.ndtr(ease[ease > 0]), random.random(false)])
    true = np.tile((np.arange(len(image)) < len(image) - false)[:, None], 10)
    order = np.argsort(-confidence)
    nothing, boxes = np.zeros((len(order), 10), bool), np.full(count, BOXES)
    tree = ClassMatches(image[order], confidence[order], np.arange(len(order)), true[order], nothing, boxes)
    return Matches([str(number) for number in range(count)], {"tree": tree})


def hardness(count: int, random: np.random.Generator) -> np.ndarray:
    """What all models find hard, (photographs, BOXES), half of it common to a photograph."""
    return np.sqrt(TOGETHER) * random.normal(size=(count, 1)) + np.sqrt(1 - TOGETHER) * random.normal(size=(count, BOXES))


def detection(resampled: int, rounds: int, seed: int) -> None:
    """Coverage and false promotions of map50."""
    print(f"\nmap50, {BOXES} boxes a photograph, {rounds} rounds")
    shares = (0.6, 0.65)
    random = np.random.default_rng((seed, 4))
    hard = hardness(20_000, random)
    exact = [float(average_precision(photographs(20_000, hit, random, hard))[0, 0]) for hit in shares]
    for count in PHOTOGRAPHS:
        hits = np.zeros(3, int)
        for number in range(rounds):
            random = np.random.default_rng((seed, 5, count, number))
            hard = hardness(count, random)
            models = [photographs(count, hit, random, hard) for hit in (shares[0], shares[0], shares[1])]
            for column, pair in enumerate((models[:2], models[::2])):

                def scores(weights: np.ndarray, pair: Sequence[Matches] = pair) -> np.ndarray:
                    return np.stack([mean_average_precision(one, weights, slice(0, 1)) for one in pair], axis=1)

                found = paired_bootstrap(scores, np.arange(count), number, resampled, count * BOXES)[0]
                hits[column] += holds(found, (exact[1] - exact[0]) * column)
                hits[2] += found.low > 0 and column == 0
        told = ("equal: interval holds 0", f"differ by {exact[1] - exact[0]:.3f}: interval holds it", "equal: surely better")
        for words, got in zip(told, hits.tolist(), strict=True):
            tell(f"{count} photographs, {words}", got, rounds)


def guards(gate: Gate, resampled: int, rounds: int, seed: int) -> None:
    """False alarms and catches of the guards."""
    print(f"\n{rounds} rounds of 661 images, accuracy 0.85, 14 classes and 20 slices: a guard breaks; breaks or is suspected")
    margins = {"class": gate.max_recall_drop, "slice": gate.max_slice_drop}
    for better, fall in ((POINTS, 0.0), (0.0, 0.0), (0.0, 0.1), (0.0, 0.2), (0.0, 0.3), (0.0, 0.5)):
        hits = np.zeros(2, int)
        for number in range(rounds):
            random = np.random.default_rng((seed, 6, number))
            theirs, ours = answers([0.85, 0.85 + better], np.arange(661), random)
            labels = random.integers(14, size=661)
            ours[(labels == 0) & (random.random(661) < fall / 0.85)] = 0.0
            own = [labels == k for k in range(14)] + [random.random(661) < share_of for share_of in random.uniform(0.05, 0.4, 20)]
            kinds: list[Kind] = [*["class"] * 14, *["slice"] * 20]  # type: ignore[list-item]
            named = enumerate(zip(kinds, own, strict=True))
            parts = [Part(kind, str(k), theirs * one, ours * one, one.astype(float)) for k, (kind, one) in named]
            found = guarded(falls(parts, np.arange(661), number, resampled), margins, gate.min_support)
            hits += [any(one.outcome in words for one in found) for words in (("breaks",), ("breaks", "suspected"))]
        words = f"better by {better:.0%} everywhere" if not fall else f"one class falls by {fall:.0%}"
        tell(f"{words}: breaks", int(hits[0]), rounds)
        tell(f"{words}: breaks or is suspected", int(hits[1]), rounds)


def main() -> None:
    """Read the arguments."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parts = ("equal", "turns", "power", "coverage", "detection", "guards")
    parser.add_argument("--only", nargs="*", default=parts, choices=parts)
    given = parser.parse_args()
    knobs = settings.load(ROOT / "params.yaml").promote
    gate, start = knobs.classification, time.process_time()
    print(f"seed {given.seed}; {knobs.rounds} resamples; margin {gate.margin:g}; shared difficulty {SHARED}")
    if "equal" in given.only:
        equal(unguarded(gate), knobs.rounds, given.rounds, given.seed)
    if "turns" in given.only:
        turns(unguarded(gate), knobs.rounds, given.rounds // 4, given.seed)
    if "power" in given.only:
        power(unguarded(gate), knobs.rounds, given.rounds // 2, given.seed)
    if "coverage" in given.only:
        coverage(knobs.rounds, given.rounds // 2, given.seed)
    if "detection" in given.only:
        detection(knobs.rounds, given.rounds // 4, given.seed)
    if "guards" in given.only:
        guards(gate, knobs.rounds, given.rounds // 4, given.seed)
    print(f"\n{time.process_time() - start:.0f} CPU seconds")


if __name__ == "__main__":
    main()
