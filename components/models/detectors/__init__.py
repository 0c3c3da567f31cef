"""Detectors: the network, which anchors learn what, and how raw outputs become boxes."""
