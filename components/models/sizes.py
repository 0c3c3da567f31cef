"""The picture side and the number of classes each network was published with; params.yaml may leave its image_size out.

Light on purpose: the settings are read before Keras is loaded.
"""

# name: (pixels, classes)
PUBLISHED = {
    "fast": (32, 10),
    "fast_wide": (32, 10),
    "lenet5": (32, 10),
    "cnn": (32, 10),
    "cnn_bn": (28, 10),
    "cnn_flowers": (180, 5),
    "cnn_malaria": (32, 2),
    "efficientnet_b1": (240, 1000),
    "efficientnet_b2": (260, 1000),
    "efficientnet_b3": (300, 1000),
    "efficientnet_b4": (380, 1000),
    "efficientnet_b5": (456, 1000),
    "efficientnet_b6": (528, 1000),
    "efficientnet_b7": (600, 1000),
    "efficientnet_v2_b1": (240, 1000),
    "efficientnet_v2_b2": (260, 1000),
    "efficientnet_v2_b3": (300, 1000),
    "efficientnet_v2_s": (384, 1000),
    "efficientnet_v2_m": (480, 1000),
    "efficientnet_v2_l": (480, 1000),
    "inception_v3": (299, 1000),
    "inception_resnet_v2": (299, 1000),
    "xception": (299, 1000),
    "nasnet_large": (331, 1000),
}
IMAGENET = (224, 1000)
DETECTION = (320, 20)  # the classes are Pascal VOC's


def usual_size(architecture: str) -> int:
    """Pixels, square: as published, 224 for the networks of ImageNet that are not listed, 320 for detectors."""
    return _usual(architecture)[0]


def usual_classes(architecture: str) -> int:
    """As published, 1000 for the networks of ImageNet, 20 for detectors."""
    return _usual(architecture)[1]


def _usual(architecture: str) -> tuple[int, int]:
    return DETECTION if architecture.startswith("yolo") else PUBLISHED.get(architecture, IMAGENET)
