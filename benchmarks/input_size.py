"""What a frozen pretrained network sees of small pictures: by input size, and with the wrong preprocessing.

    .venv/bin/python benchmarks/input_size.py CIFAR10 --train 3000 --test 2000

CIFAR10 is a folder of train/CLASS/*.png and test/CLASS/*.png. The embedded EfficientNet-Lite0 stays as it is; a logistic
regression learns from its pooled features, as the pooled head would. `0..1` is what the network's first convolution gets if
pixels are divided by 255 instead of given its own preprocessing, which makes about -1..1 of them. The same images in every row.
"""

import argparse
import time
from pathlib import Path

import numpy as np

from components.data.decode import read_image, resize_crop
from components.models.efficientnet_lite0 import embedding
from components.models.weights import load_into
from pipelines.paths import Paths, find_root
from pipelines.pretrained import sample_weights

BATCH = 100
RIGHT, WRONG = (1.0, 0.0), (128 / 255, 127.0)  # scale and offset of pixels 0..255 before the network's (x - 127) / 128
ROWS = ((32, WRONG), (32, RIGHT), (64, RIGHT), (96, WRONG), (96, RIGHT), (128, RIGHT), (160, RIGHT))


def pictures(folder: Path, count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Pixels (count, 32, 32, 3) uint8 and labels (count,), as many of each class as of the others."""
    rng = np.random.default_rng(seed)
    classes = sorted(path for path in folder.iterdir() if path.is_dir())
    chosen = [(file, label) for label, place in enumerate(classes) for file in rng.permutation(sorted(place.iterdir()))[: count // 10]]
    return np.stack([read_image(file) for file, _ in chosen]), np.array([label for _, label in chosen])


def features(weights: Path, pixels: np.ndarray, size: int, scaling: tuple[float, float]) -> np.ndarray:
    """(N, 1280): the pooled features of pixels enlarged to `size`, then scaled."""
    import keras

    given = keras.Input((size, size, 3))
    model = keras.Model(given, embedding(given))
    load_into(model, weights)
    parts = [pixels[start : start + BATCH] for start in range(0, len(pixels), BATCH)]
    scale, offset = scaling
    large = (np.stack([resize_crop(image, size) for image in part]).astype(np.float32) * scale + offset for part in parts)
    return np.concatenate([np.asarray(model.predict_on_batch(part)) for part in large])


def main() -> None:
    """Print one line a way of feeding the network."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, metavar="CIFAR10")
    parser.add_argument("--train", type=int, default=3000, help="images to learn from")
    parser.add_argument("--test", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    weights = sample_weights(Paths(find_root()))
    sides = [pictures(arguments.folder / part, getattr(arguments, part), arguments.seed) for part in ("train", "test")]
    print(f"seed {arguments.seed}, {arguments.train} training and {arguments.test} test images")
    print(f"{'pixels':>6} {'fed':>7} {'accuracy':>9} {'CPU ms/image':>13}")
    for size, scaling in ROWS:
        start = time.process_time()
        seen = [features(weights, pixels, size, scaling) for pixels, _ in sides]
        spent = (time.process_time() - start) / (arguments.train + arguments.test)
        classifier = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=500)).fit(seen[0], sides[0][1])
        accuracy = classifier.score(seen[1], sides[1][1])
        print(f"{size:6} {'-1..1' if scaling == RIGHT else '0..1':>7} {accuracy:9.3f} {1000 * spent:13.2f}", flush=True)


if __name__ == "__main__":
    main()
