"""PyTorch's side of benchmarks/training.py, as its guides recommend for a CPU; run by an interpreter that has it."""

import argparse
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader, Dataset, Subset
from torchvision.datasets import ImageFolder
from torchvision.transforms import v2

from benchmarks.training import BATCH, BRIGHTNESS, FLIP, SEED, SHIFT, files


def train(arguments: argparse.Namespace, rounds: Callable[[], None]) -> None:
    """Epoch after epoch, resident or from disk as `arguments.worker` says; `rounds()` is called after each."""
    torch.manual_seed(SEED)
    torch.set_num_threads(arguments.threads)

    def convolution(inputs: int, outputs: int) -> list[Any]:
        return [nn.Conv2d(inputs, outputs, 3, padding=1), nn.ReLU()]

    dense = [nn.Flatten(), nn.Linear(4096, 128), nn.ReLU(), nn.Linear(128, 10)]
    layers = [*convolution(3, 32), nn.MaxPool2d(2), *convolution(32, 64), nn.MaxPool2d(2), *convolution(64, 64), *dense]
    model = nn.Sequential(*layers).to(memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(model.parameters(), fused=True)
    resident = arguments.worker == "torch-resident"
    options = {"batch_size": BATCH, "shuffle": True, "drop_last": True}
    if resident:
        loader = DataLoader(_tensors(arguments), collate_fn=lambda batch: batch, **options)
    else:
        loader = DataLoader(_pictures(arguments), num_workers=arguments.threads, **options)
    while True:
        for pixels, labels in loader:
            scaled = pixels.to(memory_format=torch.channels_last).to(torch.bfloat16) / 255
            with torch.autocast("cpu", torch.bfloat16):
                loss = nn.functional.cross_entropy(model(scaled).float(), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        rounds()


def _tensors(arguments: argparse.Namespace) -> Any:
    found = list(files(arguments.folder, arguments.images))
    pixels = torch.from_numpy(np.stack([np.asarray(Image.open(path).convert("RGB")) for path, _ in found])).permute(0, 3, 1, 2)
    labels = torch.tensor([label for _, label in found])

    class Tensors(Dataset):  # type: ignore[misc]
        def __len__(self) -> int:
            return len(labels)

        def __getitems__(self, picked: list[int]) -> Any:
            return pixels[picked], labels[picked]

    return Tensors()


def _pictures(arguments: argparse.Namespace) -> Any:
    moves = [v2.RandomHorizontalFlip(FLIP), v2.RandomAffine(0, translate=(SHIFT, SHIFT)), v2.ColorJitter(brightness=BRIGHTNESS)]
    whole = ImageFolder(str(arguments.folder), v2.Compose([v2.ToImage(), *moves, v2.ToDtype(torch.uint8)]))
    return Subset(whole, [index * len(whole) // arguments.images for index in range(arguments.images)])
