"""Pseudo-labels, uncertainty and doubt for every case that no person has confirmed."""

from dataclasses import dataclass, replace
from typing import Any

from PseudoLabelCLLib.domain.case import Case
from PseudoLabelCLLib.domain.reporting import Report
from PseudoLabelCLLib.domain.round_work import Work
from PseudoLabelCLLib.domain.text import Text
from PseudoLabelCLLib.learning.device import ComputeDevice
from PseudoLabelCLLib.learning.process_group import ProcessGroup
from PseudoLabelCLLib.messages.json_codec import to_json
from PseudoLabelCLLib.pipeline.prediction.model_file import TrainedModel, read_model
from PseudoLabelCLLib.pipeline.prediction.segment_volume import (
    Refinement,
    SegmentedVolume,
    segment_slices,
)
from PseudoLabelCLLib.pipeline.processes.follow import Task, lead
from PseudoLabelCLLib.pipeline.processes.shared_work import shared_out
from PseudoLabelCLLib.pipeline.rounds.round_anatomy import (
    RoundAnatomy,
    anatomy_as_told,
    anatomy_of_round,
    tell_anatomy,
)
from PseudoLabelCLLib.pipeline.rounds.round_data import (
    RoundInputs,
    for_another_process,
    slices_of,
)
from PseudoLabelCLLib.storage.files.atomic_files import write_json
from PseudoLabelCLLib.storage.project.project_layout import ProjectLayout
from PseudoLabelCLLib.storage.segmentation_io import write_segmentation
from PseudoLabelCLLib.storage.volume_io import write_volume


def pseudo_label_cases(
    inputs: RoundInputs, model: TrainedModel, device: ComputeDevice, report: Report
) -> None:
    """Write the proposals of a round; those already there are kept, so a resumed round continues.

    They are cleaned up as the settings say; predictions that are measured or asked for never are.

    Raises:
        Cancelled: Asked to stop; every proposal on disk is whole.
    """
    layout = ProjectLayout(inputs.root)
    device.place(model.network)
    index = inputs.plan.index
    cases = inputs.project.cases_to_propose(index)
    is_left = any(not layout.doubt(index, case.id).exists() for case in cases)
    with inputs.elsewhere():
        anatomy = anatomy_of_round(inputs, model, device, report) if is_left else None
    lead(inputs.group, FollowProposing(inputs, device, None if anatomy is None else anatomy.helps))
    found = _propose(inputs, model, device, anatomy, report)
    with_anatomy = [one for one in found if one is not None]
    if anatomy is not None and with_anatomy:
        tell_anatomy(with_anatomy, report)


@dataclass(frozen=True)
class FollowProposing(Task):
    """What the other processes do while the first one makes proposals: others of them."""

    inputs: RoundInputs
    device: ComputeDevice
    anatomy_helps: tuple[bool, ...] | None

    def follow(self, group: ProcessGroup, report: Report) -> None:
        """Make those proposals that this process takes."""
        inputs = replace(self.inputs, group=group)
        model = read_model(ProjectLayout(inputs.root).model(inputs.plan.index))
        self.device.place(model.network)
        anatomy = (
            None if self.anatomy_helps is None else anatomy_as_told(inputs, self.anatomy_helps)
        )
        _propose(inputs, model, self.device, anatomy, report)

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what belongs to the first process."""
        return {**vars(self), "inputs": for_another_process(self.inputs)}


def _propose(
    inputs: RoundInputs,
    model: TrainedModel,
    device: ComputeDevice,
    anatomy: RoundAnatomy | None,
    report: Report,
) -> list[bool | None]:
    """Make the proposals that are missing, each in the process that takes it.

    Returns:
        Whether anatomy took part in the proposal of each case; None where it was there.
    """
    layout, round_index = ProjectLayout(inputs.root), inputs.plan.index
    config = inputs.project.config.pseudo_label

    def propose(case: Case, report: Report) -> bool | None:
        if layout.doubt(round_index, case.id).exists():
            return None
        slices = slices_of(inputs, case)
        with inputs.elsewhere():
            said = None if anatomy is None else anatomy.of_case(case)
        num_voxels = config.num_augmented_copies * slices.images[:, 0].size
        with inputs.timed(Work.PROPOSING, inputs.group.size * num_voxels):
            segmented = segment_slices(
                model, slices.images, slices.grid, case.geometry, device,
                Refinement(config.clean_up, said),
            )  # fmt: skip
            write_proposal(inputs, case.id, segmented)
        report.artifact("proposal", layout.proposal(round_index, case.id))
        return any(segmented.anatomy_weights)

    stage = Text("Round {index}: pseudo-labels", index=round_index)
    cases = inputs.project.cases_to_propose(round_index)
    return shared_out(stage, cases, propose, inputs.group, report)


def write_proposal(inputs: RoundInputs, case_id: str, segmented: SegmentedVolume) -> None:
    """Write what a round says of a case; the doubt comes last: where it stands, all is whole."""
    layout, index = ProjectLayout(inputs.root), inputs.plan.index
    write_segmentation(layout.proposal(index, case_id), segmented.labels, inputs.project.schema)
    write_volume(layout.uncertainty(index, case_id), segmented.uncertainty)
    write_json(layout.doubt(index, case_id), to_json(segmented.doubt))
