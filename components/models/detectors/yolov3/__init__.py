"""YOLOv3 (Redmon & Farhadi 2018, https://arxiv.org/abs/1804.02767): a detector that refines anchor boxes."""
