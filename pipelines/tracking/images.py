"""Pictures by their name, as MLflow's image grid puts them side by side for many runs."""

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from pipelines.tracking.store import Store

FOLDER = "images"
STEP = re.compile(r"[+%]step[+%]")  # what MLflow writes between an image's key and its step


def log_images(store: Store, run_id: str, pictures: Sequence[Path]) -> None:
    """Log each picture under its file's name; a later evaluation's at the next step."""
    from PIL import Image

    logged = Counter(
        STEP.split(Path(entry.path).name)[0] for entry in store.client.list_artifacts(run_id, FOLDER) if entry.path.endswith(".png")
    )
    for picture in pictures:
        with Image.open(picture) as image:
            store.client.log_image(run_id, image.convert("RGB"), key=picture.stem, step=logged[picture.stem])
