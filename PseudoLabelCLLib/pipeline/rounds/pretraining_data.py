"""What pre-training learns from: the volumes that may take part, in order, and the stages."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from PseudoLabelCLLib.curation.check.check_slice_order import REVERSED, counts_places
from PseudoLabelCLLib.curation.check.slice_order import against_most
from PseudoLabelCLLib.domain.errors import TrainingError
from PseudoLabelCLLib.domain.method_config import AugmentationConfig
from PseudoLabelCLLib.domain.preprocess_config import PreprocessConfig
from PseudoLabelCLLib.domain.pretraining_config import (
    GlobalLocalConfig,
    GlobalStrategy,
    LocalStrategy,
    Pretraining,
)
from PseudoLabelCLLib.domain.project import Project
from PseudoLabelCLLib.domain.question_kinds import QuestionKind
from PseudoLabelCLLib.domain.reporting import Cancelled, Report
from PseudoLabelCLLib.domain.text import NO_TEXT, Text, counted
from PseudoLabelCLLib.learning.device import ComputeDevice
from PseudoLabelCLLib.learning.networks.network import SegmentationNetwork
from PseudoLabelCLLib.learning.pretraining.masked_stage import MaskedStage
from PseudoLabelCLLib.learning.pretraining.pretraining import (
    GlobalStage,
    LocalStage,
    PositionalStage,
    PretrainingStage,
    StageInputs,
)
from PseudoLabelCLLib.learning.pretraining.views import positional_warp
from PseudoLabelCLLib.learning.pretraining.volume_batches import OrderedVolume, VolumePool
from PseudoLabelCLLib.learning.training.patches import cut
from PseudoLabelCLLib.pipeline.rounds.round_data import settle_training
from PseudoLabelCLLib.pipeline.slices.case_slices import CaseSlices, load_case_slices
from PseudoLabelCLLib.storage.project.pretraining_record import pretraining_cases

# A notice names so many cases and counts the others.
_MOST_NAMES = 8


@dataclass(frozen=True)
class PretrainingData:
    """What pre-training learns from.

    Args:
        project: With the settings.
        preprocess: The settled grid of the network.
        volumes: The volumes, in the project's order.
        case_ids: Their names.
        left_out: Names of volumes with too few slices for a stage that cuts them into parts.
        turned: Names of volumes whose slices are counted from the other end.
        warp: The random changes of a positional view.
    """

    project: Project
    preprocess: PreprocessConfig
    volumes: VolumePool
    case_ids: tuple[str, ...]
    left_out: tuple[str, ...]
    turned: tuple[str, ...]
    warp: AugmentationConfig


def load_pretraining_data(
    root: Path, project: Project, preprocess: PreprocessConfig, report: Report
) -> PretrainingData:
    """Read the volumes and tell which take no part, and which are turned over.

    Raises:
        Cancelled: Asked to stop.
        TrainingError: Too few volumes are left.
    """
    ids = pretraining_cases(project)
    slices = []
    for number, case_id in enumerate(ids, start=1):
        slices.append(load_case_slices(root, project.case(case_id), preprocess, project.channels))
        report.progress(Text("Pre-training: reading volumes"), number, len(ids))
        if report.is_cancelled():
            raise Cancelled
    num_parts = _num_parts(project)
    left_out = tuple(one.case.id for one in slices if len(one.images) < num_parts)
    _require_enough(len(slices) - len(left_out), 2 if num_parts else 1, left_out)
    if left_out:
        report.notice(
            Text(
                "Fewer slices than the {count} parts of pre-training, so left out where "
                "volumes are cut into parts: {cases}.",
                count=num_parts,
                cases=_named(left_out),
            ),
            warning=True,
        )
    turned = _turned(project, slices)
    if turned:
        report.notice(
            Text(
                "The slices of these volumes run in the opposite direction to most; they "
                "are counted from the other end: {cases}.",
                cases=_named(turned),
            )
        )
    return PretrainingData(
        project=project,
        preprocess=preprocess,
        volumes=VolumePool(
            [OrderedVolume(_in_window(one, preprocess), one.case.id in turned) for one in slices],
            slices_at_once=preprocess.slices_at_once,
        ),
        case_ids=ids,
        left_out=left_out,
        turned=turned,
        warp=positional_warp(settle_training(project, preprocess).augmentation),
    )


def _in_window(slices: CaseSlices, preprocess: PreprocessConfig) -> npt.NDArray[np.float32]:
    """Return slices as pre-training sees them, all of one size.

    Where the network sees whole slices, that is the middle of each, as large as a training patch.
    """
    images, patch = slices.images, preprocess.patch_size
    if not preprocess.sees_whole_slices or patch is None:
        return images
    corner = [-((side - size) // 2) for side, size in zip(patch, images.shape[-2:], strict=True)]
    return cut(images, corner, patch)


def pretraining_stages(
    data: PretrainingData, network: SegmentationNetwork, device: ComputeDevice, seed: int
) -> tuple[PretrainingStage, ...]:
    """Return the stages that the settings ask for, before their first step.

    Args:
        data: The volumes.
        network: What is trained, on the device.
        device: Where the stages run.
        seed: Of the first stage; the second has the next.
    """
    config = data.project.config.pretraining
    data.volumes.bring_to(device.torch_device)  # once for both stages
    if config.method is Pretraining.POSITIONAL:
        inputs = StageInputs(network, data.volumes, device, seed)
        return (PositionalStage(inputs, config.positional, data.warp),)
    if config.method is Pretraining.MASKED:
        return (MaskedStage(StageInputs(network, data.volumes, device, seed), config.masked),)
    settings = config.global_local
    stages: list[PretrainingStage] = []
    if settings.global_steps:
        pool = _pool_for(data, settings, has_parts=_global_has_parts(settings))
        stages.append(GlobalStage(StageInputs(network, pool, device, seed), settings))
    if settings.local_steps:
        pool = _pool_for(data, settings, has_parts=_local_has_parts(settings))
        stages.append(LocalStage(StageInputs(network, pool, device, seed + 1), settings))
    return tuple(stages)


def _pool_for(data: PretrainingData, settings: GlobalLocalConfig, *, has_parts: bool) -> VolumePool:
    return data.volumes.with_parts(settings.num_partitions) if has_parts else data.volumes


def _num_parts(project: Project) -> int:
    """Into how many parts any stage cuts a volume; 0 where none does."""
    config = project.config.pretraining
    if config.method is not Pretraining.GLOBAL_LOCAL:
        return 0
    settings = config.global_local
    any_parts = _global_has_parts(settings) or _local_has_parts(settings)
    return settings.num_partitions if any_parts else 0


def _global_has_parts(settings: GlobalLocalConfig) -> bool:
    return settings.global_steps > 0 and settings.global_strategy is not GlobalStrategy.RANDOM


def _local_has_parts(settings: GlobalLocalConfig) -> bool:
    return settings.local_steps > 0 and settings.local_strategy is not LocalStrategy.RANDOM


def _require_enough(found: int, needed: int, left_out: tuple[str, ...]) -> None:
    if found >= needed:
        return
    short = (
        Text(" ({cases} cannot be cut into the parts)", cases=_named(left_out))
        if left_out
        else NO_TEXT
    )
    raise TrainingError(
        counted(
            needed,
            "Pre-training needs {count} volume or more that are neither validation nor ignored; "
            "there {found}{short}.",
            "Pre-training needs {count} volumes or more that are neither validation nor ignored; "
            "there {found}{short}.",
            found=counted(found, "is {count}", "are {count}"),
            short=short,
        ),
        Text("Add volumes; they need no segmentation."),
    )


def _turned(project: Project, slices: list[CaseSlices]) -> tuple[str, ...]:
    """Return the volumes that are taken from their last slice on.

    A person's answer counts, else the direction cosines.
    """
    if not counts_places(project.config.pretraining):
        return ()
    by_header = against_most(
        [(one.case.id, one.case.geometry, one.grid.slicing_axis) for one in slices]
    )
    turned = []
    for one in slices:
        answer = one.case.answer_to(QuestionKind.SLICE_ORDER)
        if answer == REVERSED or (answer is None and one.case.id in by_header):
            turned.append(one.case.id)
    return tuple(turned)


def _named(case_ids: tuple[str, ...]) -> Text:
    shown = ", ".join(case_ids[:_MOST_NAMES])
    rest = len(case_ids) - _MOST_NAMES
    if rest <= 0:
        return Text("{cases}", cases=shown)
    return Text("{cases} and {count} more", cases=shown, count=rest)
