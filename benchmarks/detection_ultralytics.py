"""Ultralytics' side of benchmarks/detection.py, run by an interpreter that has it: FOLDER SECONDS SIZE POINTS SEED.

Trains YOLO11n from scratch on FOLDER/data.yaml for as many epochs as fit into SECONDS of CPU time by what its third epoch
took alone; at POINTS of them, and at the end, writes what the averaged weights find on the test images, the clock standing
still, and prints a JSON line: CPU seconds, images seen, parameters, the file of the boxes found (0..1).
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

BATCH = 16
WARM = 3  # epochs


def trained(folder: Path, epochs: int, size: int, seed: int, at_epoch: Any, workspace: str) -> Any:
    """A training; `at_epoch(trainer)` is called after each epoch."""
    from ultralytics import YOLO

    model = YOLO("yolo11n.yaml")
    model.add_callback("on_fit_epoch_end", at_epoch)
    model.train(
        data=str(folder / "data.yaml"), epochs=epochs, imgsz=size, batch=BATCH, device="cpu", workers=0, val=False, plots=False,
        pretrained=False, seed=seed, patience=0, save=False, verbose=False, project=str(folder / "runs"), name=workspace, amp=False,
    )  # fmt: skip
    return model


def found(trainer: Any, folder: Path, size: int) -> list[dict[str, Any]]:
    """The boxes that the averages find on the test images."""
    from copy import deepcopy

    from ultralytics import YOLO

    network = YOLO("yolo11n.yaml")
    network.model = deepcopy(trainer.ema.ema).float().eval()
    network.model.names = trainer.data["names"]
    rows = []
    how = {"imgsz": size, "conf": 0.001, "iou": 0.7, "max_det": 300, "verbose": False, "stream": True}
    for answer in network.predict(str(folder / "images" / "test"), **how):
        boxes = answer.boxes
        for corners, confidence, label in zip(boxes.xyxyn.tolist(), boxes.conf.tolist(), boxes.cls.tolist(), strict=True):
            sides = dict(zip(("x_min", "y_min", "x_max", "y_max"), corners, strict=True))
            rows.append({"image_id": Path(answer.path).stem, "label": answer.names[int(label)], "confidence": confidence, **sides})
    return rows


def main() -> None:
    """Train and tell."""
    folder, seconds, size, points, seed = Path(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]), int(sys.argv[5])
    images = len(list((folder / "images" / "train").iterdir()))
    ends: list[float] = []
    trained(folder, WARM, size, seed, lambda _: ends.append(time.process_time()), "warm")
    epochs = max(1, int(seconds / (ends[-1] - ends[-2])))
    standing, began, done, due = 0.0, time.process_time(), 0, seconds / points

    def at_epoch(trainer: Any) -> None:
        nonlocal standing, done, due
        done += 1
        used, start = time.process_time() - began - standing, time.process_time()
        if done > epochs or (used < due and done < epochs):
            return
        due = (int(used / seconds * points) + 1) * seconds / points
        file = folder / f"found{done}.json"
        file.write_text(json.dumps(found(trainer, folder, size)))
        parameters = sum(one.numel() for one in trainer.model.parameters())
        print(json.dumps({"cpu": used, "images": done * images, "parameters": parameters, "found": file.name}), flush=True)
        standing += time.process_time() - start

    trained(folder, epochs, size, seed, at_epoch, "whole")


if __name__ == "__main__":
    main()
