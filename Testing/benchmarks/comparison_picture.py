"""One picture that sets several segmentations of the same slices side by side, for a README."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from PseudoLabelCLLib.domain.segmentation import BACKGROUND_VALUE, LabelSchema
from PseudoLabelCLLib.pipeline.report.picture_elements import (
    intensity_window,
    surroundings,
    to_grey,
    trace_contours,
)
from PseudoLabelCLLib.storage.files.atomic_files import make_folder, written_aside

_SIDE_INCHES = 2.2
_DOTS_PER_INCH = 130


@dataclass(frozen=True)
class ComparisonRow:
    """One slice for `write_comparison_picture`.

    Args:
        title: What stands beside the row.
        image: Intensities, shape (rows, columns).
        segmentations: Label values for each column after the image, shape (rows, columns).
        pixel_size_mm: Height and width of a pixel.
    """

    title: str
    image: npt.NDArray[Any]
    segmentations: tuple[npt.NDArray[np.int16], ...]
    pixel_size_mm: tuple[float, float]


def write_comparison_picture(
    path: Path, rows: tuple[ComparisonRow, ...], column_titles: tuple[str, ...], schema: LabelSchema
) -> None:
    """Write one PNG: a row for each slice, first the bare image, then a segmentation a column.

    Args:
        path: Where.
        rows: The slices; each is cropped to the surroundings of its segmentations.
        column_titles: One for the image and one for each segmentation.
        schema: Gives the colours and the legend.

    Raises:
        ValueError: A row has another number of segmentations than there are titles.
        StorageError: The disk refuses.
    """
    for row in rows:
        if len(row.segmentations) != len(column_titles) - 1:
            raise ValueError(
                f"expected {len(column_titles) - 1} segmentations in row {row.title!r}, "
                f"got {len(row.segmentations)}"
            )
    # matplotlib takes a second to import and only this picture needs it.
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415 - see above
    from matplotlib.figure import Figure  # noqa: PLC0415 - see above

    size = (_SIDE_INCHES * len(column_titles), _SIDE_INCHES * len(rows) + 0.6)
    canvas = Figure(figsize=size, layout="constrained")
    axes = canvas.subplots(len(rows), len(column_titles), squeeze=False)
    for number, row in enumerate(rows):
        _draw_comparison_row(axes[number], row, schema)
    for axis, title in zip(axes[0], column_titles, strict=True):
        axis.set_title(title, fontsize=10)
    _draw_legend(canvas, schema)
    FigureCanvasAgg(canvas)
    make_folder(path.parent)
    with written_aside(path) as temporary:
        canvas.savefig(temporary, format="png", dpi=_DOTS_PER_INCH)


def _draw_comparison_row(axes: Any, row: ComparisonRow, schema: LabelSchema) -> None:
    filled = np.any([s != BACKGROUND_VALUE for s in row.segmentations], axis=0)
    box = surroundings(filled, row.pixel_size_mm)
    grey = to_grey(row.image[box], *intensity_window(row.image))
    num_rows, num_columns = grey.shape
    placement = {
        "extent": (0, num_columns, num_rows, 0),
        "aspect": row.pixel_size_mm[0] / row.pixel_size_mm[1],
    }
    for axis, segmentation in zip(axes, (None, *row.segmentations), strict=True):
        axis.imshow(grey, cmap="gray", vmin=0, vmax=255, interpolation="bilinear", **placement)
        axis.set_xticks([])
        axis.set_yticks([])
        axis.spines[:].set_visible(False)
        if segmentation is None:
            continue
        for label in schema:
            for outline in trace_contours(np.equal(segmentation[box], label.value)):
                axis.plot(outline[:, 0], outline[:, 1], color=label.color, linewidth=1.3)
    axes[0].set_ylabel(row.title, fontsize=9)


def _draw_legend(canvas: Any, schema: LabelSchema) -> None:
    from matplotlib.lines import Line2D  # noqa: PLC0415 - as in write_comparison_picture

    lines = [Line2D([], [], color=label.color, linewidth=2, label=label.name) for label in schema]
    canvas.legend(
        handles=lines, loc="outside lower center", ncols=len(lines), frameon=False, fontsize=9
    )
