"""Pseudo-labels, uncertainty and doubt for every case that no person has confirmed."""

from PseudoLabelCLLib.domain.reporting import Cancelled, Report
from PseudoLabelCLLib.domain.round_work import Work
from PseudoLabelCLLib.domain.text import Text
from PseudoLabelCLLib.learning.device import ComputeDevice
from PseudoLabelCLLib.messages.json_codec import to_json
from PseudoLabelCLLib.pipeline.prediction.model_file import TrainedModel
from PseudoLabelCLLib.pipeline.prediction.segment_volume import (
    Refinement,
    SegmentedVolume,
    segment_slices,
)
from PseudoLabelCLLib.pipeline.rounds.round_anatomy import anatomy_of_round, tell_anatomy
from PseudoLabelCLLib.pipeline.rounds.round_data import RoundInputs, slices_of
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
    project, round_index = inputs.project, inputs.plan.index
    layout = ProjectLayout(inputs.root)
    clean_up = project.config.pseudo_label.clean_up
    num_copies = project.config.pseudo_label.num_augmented_copies
    device.place(model.network)
    cases = project.cases_to_propose(round_index)
    is_left = any(not layout.doubt(round_index, case.id).exists() for case in cases)
    with inputs.elsewhere():
        anatomy = anatomy_of_round(inputs, model, device, report) if is_left else None
    with_anatomy = []
    stage = Text("Round {index}: pseudo-labels", index=round_index)
    for number, case in enumerate(cases, start=1):
        if report.is_cancelled():
            raise Cancelled
        if not layout.doubt(round_index, case.id).exists():
            slices = slices_of(inputs, case)
            with inputs.elsewhere():
                said = None if anatomy is None else anatomy.of_case(case)
            with inputs.timed(Work.PROPOSING, num_copies * slices.images[:, 0].size):
                segmented = segment_slices(
                    model, slices.images, slices.grid, case.geometry, device,
                    Refinement(clean_up, said),
                )  # fmt: skip
                write_proposal(inputs, case.id, segmented)
            with_anatomy.append(any(segmented.anatomy_weights))
            report.artifact("proposal", layout.proposal(round_index, case.id))
        report.progress(stage, number, len(cases))
    if anatomy is not None and with_anatomy:
        tell_anatomy(with_anatomy, report)


def write_proposal(inputs: RoundInputs, case_id: str, segmented: SegmentedVolume) -> None:
    """Write what a round says of a case; the doubt comes last: where it stands, all is whole."""
    layout, index = ProjectLayout(inputs.root), inputs.plan.index
    write_segmentation(layout.proposal(index, case_id), segmented.labels, inputs.project.schema)
    write_volume(layout.uncertainty(index, case_id), segmented.uncertainty)
    write_json(layout.doubt(index, case_id), to_json(segmented.doubt))
