"""Slices of made-up hearts on the network's window, for the benchmarks of speed."""

import numpy as np

from PseudoLabelCLLib.curation.samples.sample_data import make_phantom, phantom_schema
from PseudoLabelCLLib.domain.preprocess_config import PreprocessConfig
from PseudoLabelCLLib.learning.training.sampling import LabelledSlices
from PseudoLabelCLLib.pipeline.slices.case_slices import network_classes
from PseudoLabelCLLib.pipeline.slices.network_images import network_channels
from PseudoLabelCLLib.pipeline.slices.slice_grid import slice_grid

NUM_CLASSES = phantom_schema().num_classes


def phantom_slices(num_slices: int, side: int, seed: int = 0) -> LabelledSlices:
    """The first slices of as many phantoms as are needed, with their truth."""
    config = PreprocessConfig(in_plane_spacing_mm=1.4, window_size=(side, side))
    images, classes = [], []
    index = 0
    while sum(map(len, images)) < num_slices:
        phantom = make_phantom(np.random.default_rng([seed, index]), oblique=False)
        grid = slice_grid(phantom.volume, config)
        images.append(network_channels((phantom.volume,), grid, config))
        classes.append(network_classes(phantom.truth, grid, phantom_schema()))
        index += 1
    return LabelledSlices(
        np.concatenate(images)[:num_slices].astype(np.float32),
        np.concatenate(classes)[:num_slices],
    )
