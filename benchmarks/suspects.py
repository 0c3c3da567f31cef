"""How many planted label errors `visionloop data suspects` finds in the project's own classification images.

Run after the split stage:   .venv/bin/python benchmarks/suspects.py [--share 0.05] [--seeds 3]

In each round (one a seed, 0 upwards) a share of the labels is replaced by another class, and images are ranked. Printed
are precision among the first k, where k labels are wrong (recall is the same there), and precision and recall among those
that the command names by itself. Beside it the plain way: the same classifier asked about the images it was fitted on.
"""

import argparse
import time
from pathlib import Path

import numpy as np

from components.data.suspects import classification
from pipelines.data_suspects import GENEROUS, LEAST
from pipelines.features import image_features
from pipelines.paths import Paths, find_root
from pipelines.stages.examples import read_dataset


def flipped(labels: np.ndarray, classes: int, share: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Labels (N,) of which a share is wrong, and the rows of those."""
    rng = np.random.default_rng(seed)
    wrong = rng.choice(len(labels), round(share * len(labels)), replace=False)
    spoiled = labels.copy()
    spoiled[wrong] = (spoiled[wrong] + rng.integers(1, classes, len(wrong))) % classes
    return spoiled, wrong


def fitted_on_all(features: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Rows by the probability of their own label, in the eyes of a classifier that learned that very label."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model = make_pipeline(StandardScaler(), LogisticRegression(C=classification.PENALTY, max_iter=classification.ITERATIONS))
    found = model.fit(features, labels).predict_proba(features)
    return np.argsort(found[np.arange(len(labels)), labels], kind="stable")


def main() -> None:
    """Print one line a seed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--share", type=float, default=0.05, help="of the labels that are made wrong, 0..1")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--root", type=Path, help="the project; the one around the current folder when not said")
    arguments = parser.parse_args()
    paths = Paths(arguments.root or find_root())
    dataset = read_dataset(paths, "classification")
    features = image_features(paths, dataset.images)
    truth = np.array([dataset.classes.index(label) for label in dataset.images["label"]], np.int64)
    groups = dataset.images["group_id"].tolist()
    print(f"{len(truth)} images, {len(dataset.classes)} classes, {arguments.share:.0%} of the labels wrong")
    print(f"{'seed':>4} {'wrong':>6} {'precision@k':>12} {'fitted on all':>14} {'named':>6} {'precision':>10} {'recall':>7} {'CPU s':>6}")
    for seed in range(arguments.seeds):
        labels, wrong = flipped(truth, len(dataset.classes), arguments.share, seed)
        start = time.process_time()
        ranking = classification.rank(features, labels, groups, seed)
        spent = time.process_time() - start
        plain = np.isin(fitted_on_all(features, labels)[: len(wrong)], wrong).mean()
        named = ranking.rows[: max(LEAST, GENEROUS * ranking.estimated)]
        hits = np.isin(named, wrong)
        first = np.isin(ranking.rows[: len(wrong)], wrong).mean()
        recall = hits.sum() / len(wrong)
        print(f"{seed:4} {len(wrong):6} {first:12.3f} {plain:14.3f} {len(named):6} {hits.mean():10.3f} {recall:7.3f} {spent:6.1f}")


if __name__ == "__main__":
    main()
