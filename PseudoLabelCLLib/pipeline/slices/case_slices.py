"""The slices and labels of every case on the network's grid, kept on disk and mapped from there."""

import contextlib
import hashlib
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from PseudoLabelCLLib.curation.check.scanned_values import looks_like_ct, scanned_values
from PseudoLabelCLLib.curation.grids.case_images import ImageFile, case_images, image_files
from PseudoLabelCLLib.curation.grids.human_truth import read_on_grid
from PseudoLabelCLLib.curation.review.truth_mask import read_truth_mask
from PseudoLabelCLLib.domain.case import Case, CaseRole
from PseudoLabelCLLib.domain.errors import PseudoLabelCLError
from PseudoLabelCLLib.domain.preprocess_config import Crop, PreprocessConfig, settle_directions
from PseudoLabelCLLib.domain.project import Project
from PseudoLabelCLLib.domain.segmentation import LabelSchema
from PseudoLabelCLLib.domain.text import Text
from PseudoLabelCLLib.domain.volume import LabelVolume, Volume
from PseudoLabelCLLib.learning.training.sampling import IGNORED_CLASS, MERGED_CLASS
from PseudoLabelCLLib.messages.json_codec import JsonValue, from_json, to_json
from PseudoLabelCLLib.pipeline.slices.neighbouring_slices import with_neighbours
from PseudoLabelCLLib.pipeline.slices.network_images import network_channels
from PseudoLabelCLLib.pipeline.slices.preprocess import Annotated, resolve_preprocess
from PseudoLabelCLLib.pipeline.slices.slice_grid import SliceGrid, slice_grid, window_center
from PseudoLabelCLLib.storage.files.atomic_files import read_json, write_bytes, write_json
from PseudoLabelCLLib.storage.files.fingerprint import file_fingerprint
from PseudoLabelCLLib.storage.files.own_seals import SealedFiles, sealed
from PseudoLabelCLLib.storage.project.preprocess_plan import (
    save_preprocess_plan,
    settled_preprocess,
)
from PseudoLabelCLLib.storage.project.project_layout import ProjectLayout

_own = SealedFiles()

# What was made with other axes is made anew.
_LAYOUT = "slices, channels, rows, columns"


@dataclass(frozen=True)
class CaseSlices:
    """A case as the network sees it: its slices in one window, or as large as they are.

    Args:
        case: The case.
        grid: How its slices lie on the network's grid.
        images: Shape (slices, channels, rows, columns), mapped from disk.
        is_new: Whether they were made just now.
    """

    case: Case
    grid: SliceGrid
    images: npt.NDArray[np.float32]
    is_new: bool = False


@dataclass(frozen=True)
class _CacheEntry:
    """What `grid.json` says about the slices beside it."""

    key: str
    grid: SliceGrid


def preprocess_plan(root: Path, project: Project) -> PreprocessConfig:
    """Return pixel size and window or patch of this project, settled once before round 0.

    Later rounds keep them, since the network has learned on that grid; before the first round is
    trained, changed settings or cases settle them again.
    """
    settled = settled_preprocess(root, project)
    if settled is not None:
        return settled
    settings = project.preprocess
    grids = [case.geometry for case in project.cases if case.role is not CaseRole.IGNORED]
    directed = settle_directions(settings, grids)
    asked = project.cases_with_role(CaseRole.ANNOTATED)
    annotated = [_annotated(root, project, case, directed) for case in asked]
    resolved = resolve_preprocess(directed, grids, annotated)
    save_preprocess_plan(root, settings, resolved)
    return resolved


def load_case_slices(
    root: Path, case: Case, config: PreprocessConfig, channels: Sequence[str]
) -> CaseSlices:
    """Return a case's slices, made now if they are not on disk or no longer fit.

    Args:
        root: The project folder.
        case: The case.
        config: The settled plan.
        channels: Those of the project; empty for one unnamed image.

    Raises:
        VolumeError: An image is missing, or its grid is not the one it had when it was added.
    """
    layout = ProjectLayout(root)
    folder = layout.preprocessed(case.id)
    key = _cache_key(image_files(root, channels, case), config)
    entry, images = _read_entry(folder), layout.checked(folder / "images.npy")
    fits = entry is not None and entry.key == key and _own.has_own(images, _described(case, entry))
    if entry is None or not fits:
        volumes = case_images(root, channels, case)
        grid = slice_grid(volumes[0], config, len(volumes))
        # of the pair, the key goes first and comes last: where it stands, it is that of the images
        (folder / "grid.json").unlink(missing_ok=True)
        entry = _CacheEntry(key, grid)
        _write_array(images, network_channels(volumes, grid, config), _described(case, entry))
        write_json(folder / "grid.json", to_json(entry))
    seen = with_neighbours(_mapped(images), case.geometry, config)
    return CaseSlices(case, entry.grid, seen, is_new=not fits)


@dataclass(frozen=True)
class TruthPart:
    """A segmentation of which some slices, or single voxels, count.

    Args:
        segmentation: A file on the case's grid.
        slices: Indices along the slicing axis that count; None means all.
        left_out: Label values of structures that a person rejected in it.
        mask: The file of the only voxels that count; None if the slices count whole.
    """

    segmentation: Path
    slices: tuple[int, ...] | None
    left_out: tuple[int, ...] = ()
    mask: Path | None = None


class ClassCache:
    """Segmentations as class indices on the network's grid, kept on disk and mapped from there.

    They lie beside the slices of their case, as `classes-<key>.npy`, one byte per pixel. The key
    is made of all that they come from: the content of the segmentation's file, the labels, the
    grid, the structures that a person left out. So a file is never out of date, a round that goes
    on finds its own, and what a person drew is turned into indices once for all rounds. Everything
    here can be made again, and is, unless it ends in this computer's own seal: the arrays of a
    project that was elsewhere are never read.

    Args:
        root: The project folder.
        schema: The labels.
    """

    def __init__(self, root: Path, schema: LabelSchema) -> None:
        self._layout = ProjectLayout(root)
        self._schema = schema
        self._used: set[Path] = set()

    def load(
        self,
        slices: CaseSlices,
        segmentation: Path,
        left_out: tuple[int, ...] = (),
        unknown: Sequence[Path] = (),
    ) -> npt.NDArray[np.uint8]:
        """Return a segmentation of a case, made now if it is not on disk.

        Args:
            slices: The case.
            segmentation: A file on the case's grid.
            left_out: Label values of structures that a person rejected in it.
            unknown: Masks of voxels on which nothing of it counts.

        Raises:
            PseudoLabelCLError: The segmentation cannot be read, or the disk refuses.
        """
        made_of: list[JsonValue] = [
            file_fingerprint(segmentation), to_json(self._schema), to_json(slices.grid),
        ]  # fmt: skip
        made_of += [{"not them": list(left_out)}] if left_out else []
        made_of += [{"unknown": [file_fingerprint(mask) for mask in unknown]}] if unknown else []
        path = self._path(slices, made_of)
        what = _described(slices.case, path.name)
        if not _own.has_own(path, what):
            labels = read_on_grid(segmentation, self._schema, slices.case)
            classes = network_classes(labels, slices.grid, self._schema, left_out)
            for mask in unknown:
                classes[network_mask(mask, slices)] = IGNORED_CLASS
            _write_array(path, classes, what)
        self._used.add(path)
        return _mapped(path)

    def merge(self, slices: CaseSlices, parts: Sequence[TruthPart]) -> npt.NDArray[np.uint8]:
        """Return several segmentations of a case as one, made now if it is not on disk.

        Args:
            slices: The case.
            parts: The segmentations, oldest first; each counts on its slices or voxels only, where
                it lies over the earlier ones. What none of them says is `IGNORED_CLASS`; which
                structures `MERGED_CLASS` stands for, `left_out_of_parts` says.

        Raises:
            PseudoLabelCLError: A file cannot be read, or the disk refuses.
        """
        made_of: list[JsonValue] = [to_json(self._schema), to_json(slices.grid)]
        for part in parts:
            mask = None if part.mask is None else file_fingerprint(part.mask)
            of_part = [file_fingerprint(part.segmentation), to_json(part.slices), mask]
            made_of += [[*of_part, {"not them": list(part.left_out)} if part.left_out else []]]
        path = self._path(slices, made_of)
        what = _described(slices.case, path.name)
        if not _own.has_own(path, what):
            _write_array(path, self._merged(slices, parts), what)
        self._used.add(path)
        return _mapped(path)

    def _merged(self, slices: CaseSlices, parts: Sequence[TruthPart]) -> npt.NDArray[np.uint8]:
        images = slices.images
        merged = np.full((len(images), *images.shape[2:]), IGNORED_CLASS, np.uint8)
        for part in parts:
            labels = read_on_grid(part.segmentation, self._schema, slices.case)
            classes = network_classes(labels, slices.grid, self._schema, part.left_out)
            counts = np.zeros(classes.shape, np.bool_)
            counts[chosen_slices(slices.grid, part.slices)] = True
            if part.mask is not None:
                counts &= network_mask(part.mask, slices)
            merged[counts] = classes[counts]
        return merged

    def _path(self, slices: CaseSlices, made_of: list[JsonValue]) -> Path:
        key = hashlib.sha256(json.dumps(made_of).encode()).hexdigest()
        folder = self._layout.preprocessed(slices.case.id)
        return self._layout.checked(folder / f"classes-{key[:16]}.npy")

    def remove_others(self) -> None:
        """Delete the files that were not asked for, such as those of earlier rounds."""
        for path in self._layout.preprocess_plan.parent.glob("*/classes-*.npy"):
            if self._layout.checked(path) not in self._used:
                # Windows deletes no file that is still mapped; a later round does
                with contextlib.suppress(OSError):
                    path.unlink()


def case_volume(root: Path, case: Case) -> Volume:
    """Read the first image of a case.

    Raises:
        VolumeError: It cannot be read, or its grid has changed since it was added.
    """
    return case_images(root, (), case)[0]


def annotation_of(root: Path, case: Case, schema: LabelSchema) -> LabelVolume:
    """Read the segmentation that a person gave a case.

    Raises:
        PseudoLabelCLError: The case has none.
    """
    if case.annotation is None:
        raise PseudoLabelCLError(Text("Case '{case}' has no segmentation.", case=case.id))
    return read_on_grid(ProjectLayout(root).own(case.annotation), schema, case)


def class_indices(labels: npt.NDArray[np.int16], schema: LabelSchema) -> npt.NDArray[np.uint8]:
    """Return class indices 0, 1, 2, ... for label values in files."""
    indices = np.zeros(labels.shape, np.uint8)
    for index, value in enumerate(schema.values, start=1):
        indices[labels == value] = index
    return indices


def label_values(indices: npt.NDArray[np.uint8], schema: LabelSchema) -> npt.NDArray[np.int16]:
    """Return label values in files for class indices."""
    table = np.array((0, *schema.values), dtype=np.int16)
    return table[indices]


def network_classes(
    segmentation: LabelVolume,
    grid: SliceGrid,
    schema: LabelSchema,
    left_out: tuple[int, ...] = (),
) -> npt.NDArray[np.uint8]:
    """Return a segmentation as class indices on the network's grid.

    Where structures are left out, voxels of the others keep their index and all else inside the
    volume is `MERGED_CLASS`: it is not one of the others, and what is left out may lie anywhere
    there.
    """
    indices = class_indices(segmentation.array, schema)
    if left_out:
        indices[(indices == 0) | np.isin(segmentation.array, left_out)] = MERGED_CLASS
    return grid.labels_to_network(grid.slices_of(indices))


def left_out_of_parts(
    parts: Sequence[TruthPart], schema: LabelSchema, grid: SliceGrid
) -> npt.NDArray[np.bool_]:
    """Return which structures `MERGED_CLASS` stands for in several segmentations laid over another.

    Args:
        parts: The segmentations, oldest first. Whole slices take the place of what was said of
            them before, single voxels lie over it.
        schema: The labels.
        grid: Of the case.

    Returns:
        Shape (slices of the network, structures).
    """
    left_out = np.zeros((len(grid.sources), len(schema)), np.bool_)
    for part in parts:
        chosen, own = chosen_slices(grid, part.slices), np.isin(schema.values, part.left_out)
        left_out[chosen] = own if part.mask is None else left_out[chosen] | own
    return left_out


def network_mask(path: Path, slices: CaseSlices) -> npt.NDArray[np.bool_]:
    """Return a mask of what counts in a case on the network's grid.

    Raises:
        VolumeError: It is missing, damaged or on another grid.
    """
    mask = read_truth_mask(path, slices.case.geometry)
    placed = slices.grid.labels_to_network(slices.grid.slices_of(mask.astype(np.uint8)))
    counts: npt.NDArray[np.bool_] = placed == 1
    return counts


def chosen_slices(grid: SliceGrid, chosen: Sequence[int] | None) -> npt.NDArray[np.bool_]:
    """Return which slices of the network show one of the volume's slices; None means all.

    Args:
        grid: Of the case.
        chosen: Indices along the volume's slicing axis.
    """
    if chosen is None:
        return np.ones(len(grid.sources), dtype=np.bool_)
    return np.isin(grid.sources, list(chosen))


def _annotated(root: Path, project: Project, case: Case, settings: PreprocessConfig) -> Annotated:
    """Read where a case has structures, and of its images what the settings ask for."""
    labels = annotation_of(root, case, project.schema)
    foreground = labels.array > 0
    follows_body, scales_ct = settings.crop is not Crop.CENTER, settings.scale_ct
    if not (follows_body or scales_ct):
        return Annotated(case.geometry, foreground, labels=labels)
    volumes = case_images(root, project.channels, case)
    center = window_center(volumes[0], settings) if follows_body else None
    values = tuple(_values_hu(volume, foreground) for volume in volumes) if scales_ct else ()
    return Annotated(case.geometry, foreground, center, values, labels)


def _values_hu(volume: Volume, foreground: npt.NDArray[np.bool_]) -> npt.NDArray[np.float32] | None:
    """Return the values of an image in the structures if it is CT."""
    if not looks_like_ct(volume):
        return None
    scanned = scanned_values(volume)
    return scanned.array[foreground & scanned.counts]


def _described(case: Case, made_of: "_CacheEntry | str") -> str:
    """Return what an array on disk is; only one that this computer made as such is read."""
    return json.dumps([case.id, to_json(case.geometry), to_json(made_of)])


def _write_array(path: Path, array: npt.NDArray[Any], what: str) -> None:
    content = io.BytesIO()  # numpy does not say why it could not write to a disk
    np.save(content, array)
    content.write(sealed(what, content.getbuffer()))
    write_bytes(path, content.getbuffer())
    _own.remember(path, what)


def _mapped(path: Path) -> npt.NDArray[Any]:
    """Map an array from disk: its pages are the system's file cache, dropped when memory is short.

    numpy would keep every file open, and some systems allow no more than 256 open files.
    """
    found = np.load(path, mmap_mode="r")  # closed again when this function ends
    content = torch.from_file(str(path), size=path.stat().st_size, dtype=torch.uint8).numpy()
    array: npt.NDArray[Any] = np.ndarray(
        found.shape, found.dtype, content, offset=found.offset, strides=found.strides
    )
    array.flags.writeable = False
    return array


def _cache_key(images: Sequence[ImageFile], config: PreprocessConfig) -> str:
    first, *further = images
    told: list[JsonValue] = [file_fingerprint(first.path), first.series_uid, to_json(config)]
    told += [_LAYOUT]
    for one in further:
        told.append([file_fingerprint(one.path), one.series_uid, to_json(one.geometry)])
    if config.bias_correction:  # what was made before CT was left alone is made anew
        told.append("CT is not evened out")
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()


def _read_entry(folder: Path) -> _CacheEntry | None:
    """What is cached, or None where it is absent or damaged: it can always be made again."""
    if not (folder / "images.npy").exists():
        return None
    try:
        return from_json(_CacheEntry, read_json(folder / "grid.json"), "grid.json")
    except PseudoLabelCLError:
        return None
