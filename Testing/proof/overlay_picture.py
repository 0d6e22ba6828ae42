"""A picture of a segmentation over its series: three planes, the image with outlines."""

from pathlib import Path

import matplotlib as mpl
import numpy as np
from grid_by_hand import Grid

COLORS = ("#e69f00", "#56b4e9", "#009e73", "#cc79a7")


def draw_overlay(grid: Grid, masks: list[np.ndarray], path: Path) -> None:
    """Draw the slice, row and column with most voxels of the segments, in rows of two pictures."""
    mpl.use("Agg")
    from matplotlib import pyplot as plt  # noqa: PLC0415 - after the backend is chosen

    together = np.any(masks, axis=0)
    figure, axes = plt.subplots(2, 3, figsize=(8, 7.6), layout="constrained")
    low, high = np.percentile(grid.voxels, (1, 99.5))
    for axis, name in enumerate(("slice", "row", "column")):
        others = tuple(n for n in range(3) if n != axis)
        at = int(np.argmax(together.sum(axis=others)))
        plane = np.take(grid.voxels, at, axis)
        down_mm, across_mm = grid.spacing_mm[list(others)]
        for panel in axes[:, axis]:
            panel.imshow(plane, cmap="gray", vmin=low, vmax=high, aspect=down_mm / across_mm,
                         origin="lower" if axis else "upper")  # fmt: skip
            panel.set_axis_off()
        axes[0, axis].set_title(f"{name} {at + 1}", fontsize=10)
        for mask, color in zip(masks, COLORS, strict=False):
            part = np.take(mask, at, axis)
            if part.any():
                axes[1, axis].contour(part, [0.5], colors=color, linewidths=1.4)
    figure.savefig(path, dpi=90)
    plt.close(figure)
