"""What a batch cannot hold is refused before training, however rarely it would happen."""

import pytest

from components.augment.augmenter import Augmenter
from components.augment.policies import NAMED
from components.augment.shapes import refuse_unbatchable
from components.errors import UsageError

CROP = {"CenterCrop": {"height": 40, "width": 50, "p": 1.0}}
RESIZE = {"Resize": {}}


def one_of(*entries: dict, **arguments: object) -> dict:
    return {"OneOf": {"transforms": list(entries), **arguments}}


FINE = {
    "nothing": [],
    "a crop and back": [CROP, RESIZE],
    "sizes that vary, and back": [{"RandomScale": {"scale_limit": 0.5}}, RESIZE],
    "a crop within, and back": [one_of(CROP, {"Blur": {}}), RESIZE],
    "a crop and back within": [{"Sequential": {"transforms": [CROP, RESIZE]}}],
    "a crop that never happens": [{"CenterCrop": {"height": 40, "width": 50, "p": 0.0}}],
    "a crop that is never chosen": [one_of({"CenterCrop": {"height": 40, "width": 50, "p": 0.0}}, {"Blur": {}})],
    "gray in three channels": [{"ToGray": {"p": 1.0}}],
    "to the model's own size": [{"RandomResizedCrop": {"scale": [0.2, 1.0]}}],
}
BROKEN = {
    "a crop": ([CROP], r"CenterCrop makes pictures of 50x40 pixels, 96x96 pixels are wanted: end the policy with `- Resize: {}`"),
    "a rare crop": ([{"CenterCrop": {"height": 40, "width": 50, "p": 0.001}}], "50x40 pixels"),
    "a rare crop within": (
        [one_of({"Blur": {}}, {"Sequential": {"transforms": [CROP], "p": 0.01}}, p=0.01)],
        "OneOf makes pictures of 50x40",
    ),
    "back only at times": ([CROP, {"Resize": {"p": 0.9}}], "50x40 pixels"),
    "some of several": ([{"SomeOf": {"transforms": [CROP, {"Blur": {}}], "n": 1}}], "SomeOf makes pictures of 50x40"),
    "a size that varies": ([{"RandomScale": {"scale_limit": [-0.5, -0.2], "p": 0.01}}], "RandomScale makes pictures of"),
    "a size of another model": ([{"Resize": {"height": 64, "width": 64}}], "64x64 pixels, 96x96"),
    "one channel": ([{"ToGray": {"num_output_channels": 1}}], "with 1 channels of uint8.*three channels"),
    "no whole numbers": ([{"Normalize": {}}], "float32.*leave it out, the networks scale pixels inside"),
    "a crop of a larger picture": (
        [{"RandomCrop": {"height": 200, "width": 200}}],
        r"RandomCrop fails on a picture of 96x96 pixels: .*200",
    ),
    "what training has not": ([{"MaskDropout": {}}], "MaskDropout fails .*mask"),
    "volumes": ([{"CubicSymmetry": {}}], "CubicSymmetry fails .*volume"),
}


@pytest.mark.parametrize("policy", [*FINE.values(), *NAMED.values()], ids=[*FINE, *NAMED])
@pytest.mark.parametrize("train_size", [96, 64])
def test_what_ends_at_one_size_is_let_through(policy, train_size):
    refuse_unbatchable(policy, 96, train_size)


@pytest.mark.parametrize("case", BROKEN)
def test_what_may_end_otherwise_is_refused_with_the_remedy(case):
    policy, said = BROKEN[case]
    with pytest.raises(UsageError, match=said):
        refuse_unbatchable(policy, 96, 96)


def test_the_augmenter_refuses_it_before_the_first_picture():
    with pytest.raises(UsageError, match="50x40 pixels"):
        Augmenter([{"CenterCrop": {"height": 40, "width": 50, "p": 0.001}}], 96, seed=0)


def test_a_smaller_training_size_makes_up_for_any_other_size():
    refuse_unbatchable([CROP], 96, 32)
