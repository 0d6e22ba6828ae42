"""The anatomy of a phantom: a heart cut in short-axis slices, and what lies around it."""

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from scipy import ndimage

FloatArray: TypeAlias = npt.NDArray[np.floating[Any]]
LabelArray: TypeAlias = npt.NDArray[np.int16]
PointMm: TypeAlias = tuple[float, float]

RIGHT_VENTRICLE, MYOCARDIUM, LEFT_VENTRICLE = 1, 2, 3
_AIR = 0.02
# An edge in a real slice is about a pixel wide.
_EDGE_MM = 1.6


@dataclass(frozen=True)
class PhantomGrid:
    """Where the pixels of a stack of short-axis slices lie.

    Args:
        x_mm: Across the slice from its centre, shape (slices, rows, columns).
        y_mm: Down the slice from its centre, shape (slices, rows, columns).
        z_mm: From the base of the heart towards its apex, shape (slices, 1, 1).
    """

    x_mm: FloatArray
    y_mm: FloatArray
    z_mm: FloatArray

    @property
    def shape(self) -> tuple[int, int, int]:
        """Slices, rows, columns."""
        slices, rows, columns = self.x_mm.shape
        return (slices, rows, columns)

    def around(self, center_mm: PointMm, angle_rad: float) -> tuple[FloatArray, FloatArray]:
        """Return x and y from a centre in a turned frame, each of the grid's shape."""
        x, y = self.x_mm - np.float32(center_mm[0]), self.y_mm - np.float32(center_mm[1])
        cos, sin = np.float32(np.cos(angle_rad)), np.float32(np.sin(angle_rad))
        return x * cos + y * sin, y * cos - x * sin


def draw_anatomy(grid: PhantomGrid, rng: np.random.Generator) -> tuple[FloatArray, LabelArray]:
    """Draw one person's chest.

    Returns:
        Brightness of the tissues (0..1) and labels of the heart, both of the grid's shape.
    """
    grid = _bent(grid, rng)
    canvas = np.full(grid.shape, _AIR, dtype=np.float32)
    tilt_rad = rng.uniform(-0.4, 0.4)
    fat = rng.uniform(0.72, 1.0)
    _draw_chest(canvas, grid, rng, tilt_rad=tilt_rad, fat=fat)
    _draw_abdomen(canvas, grid, rng, tilt_rad=tilt_rad, fat=fat)
    labels = _draw_heart(canvas, grid, rng, tilt_rad=tilt_rad, fat=fat)
    return canvas, labels


def _bent(grid: PhantomGrid, rng: np.random.Generator) -> PhantomGrid:
    """Return the grid with smooth waves, and slices a little apart as each breath-hold differs."""
    moved = []
    for _ in range(2):
        across, down, along = rng.uniform(-1, 1, size=3) / (14.0, 14.0, 40.0)
        wave = np.sin(across * grid.x_mm + down * grid.y_mm + along * grid.z_mm)
        finer = np.sin(2.1 * down * grid.x_mm - 2.1 * across * grid.y_mm + rng.uniform(0, 6))
        breath_mm = rng.normal(0, 1.0, size=grid.z_mm.shape)
        moved.append(rng.uniform(1, 3.5) * wave + rng.uniform(0.3, 1.2) * finer + breath_mm)
    x_mm, y_mm = grid.x_mm + moved[0], grid.y_mm + moved[1]
    return PhantomGrid(x_mm.astype(np.float32), y_mm.astype(np.float32), grid.z_mm)


def _draw_chest(
    canvas: FloatArray, grid: PhantomGrid, rng: np.random.Generator, *, tilt_rad: float, fat: float
) -> None:
    """Paint skin fat, chest muscles with ribs, and lungs with vessels."""
    x, y = grid.around((rng.uniform(-35, -15), rng.uniform(20, 45)), tilt_rad)
    radius_x, radius_y = rng.uniform(95, 120), rng.uniform(95, 115)
    ripple = rng.uniform(2, 5) * np.sin(3 * np.arctan2(y, x) + rng.uniform(0, 6))
    depth = _ellipse_depth(x, y, radius_x, radius_y) + ripple + 0.04 * grid.z_mm
    fat_mm, muscle_mm = rng.uniform(6, 20), rng.uniform(8, 16)
    num_ribs = rng.integers(9, 16)
    ribs = 0.5 + 0.5 * np.sin(num_ribs * np.arctan2(y, x) + grid.z_mm / 12)
    _paint(canvas, depth, fat)
    _paint(canvas, depth - fat_mm, rng.uniform(0.22, 0.4) - 0.14 * ribs)
    vessels = _smooth_noise(grid.shape, rng, smoothness=1.0) > rng.uniform(2.0, 2.8)
    inner = depth - fat_mm - muscle_mm
    _paint(canvas, inner, rng.uniform(0.04, 0.12) + 0.3 * vessels)
    for _ in range(rng.integers(3, 8)):
        center = (rng.uniform(-75, 75), rng.uniform(-75, 60))
        lump = np.minimum(_organ_depth(grid, rng, center, rng.uniform(6, 22)), inner + muscle_mm)
        _paint(canvas, lump, rng.uniform(0.15, fat))


def _draw_abdomen(
    canvas: FloatArray, grid: PhantomGrid, rng: np.random.Generator, *, tilt_rad: float, fat: float
) -> None:
    """Paint liver, spine, vessels and other organs below the diaphragm; it rises to the apex."""
    x, y = grid.around((0.0, rng.uniform(38, 62)), tilt_rad + rng.uniform(-0.2, 0.2))
    dome = rng.uniform(0.001, 0.005) * (x - rng.uniform(-40, 40)) ** 2
    depth = y - dome + rng.uniform(0.1, 0.45) * grid.z_mm
    texture = rng.uniform(0.0, 0.06) * _smooth_noise(grid.shape, rng, smoothness=2.5)
    _paint(canvas, depth, rng.uniform(0.25, 0.5) + texture)
    for _ in range(rng.integers(8, 14)):
        center = (rng.uniform(-90, 90), rng.uniform(35, 95))
        organ = np.minimum(_organ_depth(grid, rng, center, rng.uniform(7, 26)), depth)
        shell = rng.uniform(0.1, fat)
        _paint(canvas, organ, shell)
        # Some are rings, dark around bright: kidneys, bowel. They look like the left ventricle.
        _paint(canvas, organ - rng.uniform(3, 9), rng.choice([shell, rng.uniform(0.2, fat)]))


def _organ_depth(
    grid: PhantomGrid, rng: np.random.Generator, center_mm: PointMm, radius_mm: float
) -> FloatArray:
    x, y = grid.around(center_mm, rng.uniform(0, np.pi))
    middle_mm, half_mm = rng.uniform(grid.z_mm.min(), grid.z_mm.max()), rng.uniform(20, 60)
    size = np.sqrt(np.clip(1 - ((grid.z_mm - middle_mm) / half_mm) ** 2, 0, 1))
    return _ellipse_depth(x, y, radius_mm * size, radius_mm * rng.uniform(0.5, 1.0) * size)


@dataclass(frozen=True)
class _Heart:
    """What varies from heart to heart; lengths in mm, angles in radians.

    `septum_rad` is the direction from the left to the right ventricle; `papillary_rad` those of
    the papillary muscles from the centre of the pool.
    """

    center_mm: PointMm
    drift_mm: PointMm
    length_mm: float
    pool_mm: float
    wall_mm: float
    thicker_fraction: float
    thicker_rad: float
    ellipticity: float
    ripple: float
    bluntness: float
    septum_rad: float
    right_width_mm: float
    right_height: float
    papillary_rad: tuple[float, float]
    papillary_mm: float


def _random_heart(rng: np.random.Generator, tilt_rad: float) -> _Heart:
    septum = np.pi + tilt_rad + rng.uniform(-0.5, 0.7)
    # A dilated ventricle has a thin wall, a hypertrophic one a small pool: both occur.
    pool = rng.uniform(17, 29)
    wall = np.clip(rng.normal(9.5 - 0.25 * (pool - 23), 2.0), 5.0, 15.0)
    return _Heart(
        center_mm=(rng.uniform(-16, 22), rng.uniform(-22, 14)),
        drift_mm=(rng.uniform(-4, 16), rng.uniform(-4, 14)),
        length_mm=rng.uniform(56, 74),
        pool_mm=pool,
        wall_mm=float(wall),
        thicker_fraction=rng.uniform(0.0, 0.35),
        thicker_rad=rng.uniform(0, 2 * np.pi),
        ellipticity=rng.uniform(-0.12, 0.12),
        ripple=rng.uniform(0.0, 0.05),
        bluntness=rng.uniform(2.0, 3.5),
        septum_rad=float(septum),
        right_width_mm=rng.uniform(16, 36),
        right_height=rng.uniform(0.85, 1.25),
        papillary_rad=(septum + rng.uniform(1.7, 2.5), septum + rng.uniform(3.8, 4.6)),
        papillary_mm=rng.uniform(2.5, 5.5),
    )


def _draw_heart(
    canvas: FloatArray, grid: PhantomGrid, rng: np.random.Generator, *, tilt_rad: float, fat: float
) -> LabelArray:
    """Paint the heart with the fat around it; return its labels.

    Above the base lie atria, as bright as the ventricles, which nobody labels.
    """
    heart = _random_heart(rng, tilt_rad)
    pool, wall, right, sides = _heart_depths(grid, heart)
    blood, muscle = rng.uniform(0.58, 0.85), rng.uniform(0.18, 0.36)
    grain = _smooth_noise(grid.shape, rng, smoothness=1.2)
    patch = _smooth_noise(grid.shape, rng, smoothness=7.0)
    _paint(canvas, np.maximum(wall, right) + 4 + 3 * patch, rng.uniform(0.3, 1.0) * fat)
    _paint(canvas, sides + rng.uniform(1.5, 4.0), muscle)
    _paint(canvas, right, blood * rng.uniform(0.82, 1.1) - 0.09 * np.maximum(grain - 0.6, 0))
    _paint(canvas, wall, muscle + 0.02 * grain)
    _paint(canvas, pool, blood + 0.03 * patch - 0.12 * np.maximum(grain - pool / 5, 0))
    _paint(canvas, np.minimum(_papillary_depth(grid, heart), pool + 1), muscle * 1.1)
    labels = np.zeros(grid.shape, dtype=np.int16)
    labels[right > 0] = RIGHT_VENTRICLE
    labels[wall > 0] = MYOCARDIUM
    labels[pool > 0] = LEFT_VENTRICLE
    labels[(grid.z_mm < 0)[:, 0, 0]] = 0
    return labels


def _heart_depths(
    grid: PhantomGrid, heart: _Heart
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Return depths inside pool, left wall with pool, right pool, and whole right side, in mm."""
    level = grid.z_mm / heart.length_mm
    x, y = _from_axis(grid, heart)
    angle, radius = np.arctan2(y, x), np.hypot(x, y)
    shape = 1 + heart.ellipticity * np.cos(2 * (angle - heart.thicker_rad))
    shape = shape + heart.ripple * np.cos(3 * angle + heart.thicker_rad)
    pool_mm = heart.pool_mm * _taper(level / 0.93, heart.bluntness)
    lump = 1 + heart.thicker_fraction * np.cos(angle - heart.thicker_rad)
    wall_mm = heart.wall_mm * lump * (0.55 + 0.45 * _taper(level, 2.0))
    # Atria have thin walls; beyond the apex there is nothing.
    wall_mm = np.where(level < 0, 2.0, np.where(level > 1, -pool_mm - 10, wall_mm))
    pool, wall = pool_mm * shape - radius, pool_mm * shape + wall_mm - radius

    outer_mm = heart.pool_mm + heart.wall_mm
    cos, sin = np.float32(np.cos(heart.septum_rad)), np.float32(np.sin(heart.septum_rad))
    size = _taper(level / 0.85, heart.bluntness)
    along = x * cos + y * sin - 0.55 * outer_mm * size
    across = y * cos - x * sin
    width_mm, height_mm = 0.45 * outer_mm + heart.right_width_mm, heart.right_height * outer_mm
    sides = _ellipse_depth(along, across, width_mm * size, height_mm * size)
    sides = np.where(size > 0, sides, -10 - radius)
    gap = np.where(pool_mm > 0, -wall, radius)
    return pool, wall, np.minimum(sides, gap), sides


def _papillary_depth(grid: PhantomGrid, heart: _Heart) -> FloatArray:
    x, y = _from_axis(grid, heart)
    level = grid.z_mm / heart.length_mm
    distance_mm = 0.68 * heart.pool_mm * _taper(level / 0.93, heart.bluntness)
    radius_mm = heart.papillary_mm * np.clip(1 - (np.abs(level - 0.5) / 0.35) ** 4, 0, 1)
    depths = [
        radius_mm - np.hypot(x - distance_mm * np.cos(rad), y - distance_mm * np.sin(rad))
        for rad in heart.papillary_rad
    ]
    depth: FloatArray = np.maximum(*depths)
    return depth


def _from_axis(grid: PhantomGrid, heart: _Heart) -> tuple[FloatArray, FloatArray]:
    """Return x and y from the long axis of the heart, which leans over the slices."""
    level = grid.z_mm / np.float32(heart.length_mm)
    x = grid.x_mm - np.float32(heart.center_mm[0]) - np.float32(heart.drift_mm[0]) * level
    y = grid.y_mm - np.float32(heart.center_mm[1]) - np.float32(heart.drift_mm[1]) * level
    return x, y


def _taper(level: FloatArray, bluntness: float) -> FloatArray:
    """Return the size of the heart at a level: 1 at the base (0) and above, 0 from the apex (1)."""
    taper: FloatArray = np.sqrt(1 - np.clip(level, 0, 1) ** np.float32(bluntness))
    return taper


def _ellipse_depth(
    x: FloatArray, y: FloatArray, radius_x: FloatArray | float, radius_y: FloatArray | float
) -> FloatArray:
    """Return about how deep points lie inside an ellipse around 0; negative outside."""
    radius_x, radius_y = np.maximum(radius_x, 0.01), np.maximum(radius_y, 0.01)
    distance = np.hypot(x / radius_x, y / radius_y)
    # The distance in radii, given in mm along the ray to the point.
    depth = np.hypot(x, y) * (1 / np.maximum(distance, 1e-3) - 1)
    return np.asarray(depth, dtype=np.float32)


def _smooth_noise(
    shape: tuple[int, ...], rng: np.random.Generator, *, smoothness: float
) -> FloatArray:
    """Return a random field of mean 0 and deviation 1; `smoothness` in pixels."""
    field = rng.standard_normal(shape, dtype=np.float32)
    field = ndimage.gaussian_filter(field, (min(smoothness / 6, 0.6), smoothness, smoothness))
    normalised: FloatArray = (field - field.mean()) / field.std()
    return normalised


def _paint(canvas: FloatArray, depth_mm: FloatArray, brightness: float | FloatArray) -> None:
    """Lay a tissue over the canvas in place; `depth_mm` is the depth below its surface."""
    opacity = np.clip(depth_mm / _EDGE_MM + 0.5, 0, 1)
    canvas += opacity * (brightness - canvas)
