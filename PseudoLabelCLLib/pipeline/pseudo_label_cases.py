"""Pseudo-labels, uncertainty and doubt for every case that no person has vouched for."""

from PseudoLabelCLLib.domain.reporting import Cancelled, Report
from PseudoLabelCLLib.learning.device import ComputeDevice
from PseudoLabelCLLib.pipeline.case_slices import load_case_slices
from PseudoLabelCLLib.pipeline.model_file import TrainedModel
from PseudoLabelCLLib.pipeline.round_data import RoundInputs
from PseudoLabelCLLib.pipeline.segment_volume import segment_slices
from PseudoLabelCLLib.storage.atomic_files import write_json
from PseudoLabelCLLib.storage.json_codec import to_json
from PseudoLabelCLLib.storage.project_layout import ProjectLayout
from PseudoLabelCLLib.storage.segmentation_io import write_segmentation
from PseudoLabelCLLib.storage.volume_io import write_volume


def pseudo_label_cases(
    inputs: RoundInputs, model: TrainedModel, device: ComputeDevice, report: Report
) -> None:
    """Write the proposals of a round; those already there are kept, so that a resume goes on.

    Raises:
        Cancelled: Asked to stop; every proposal on disk is whole.
    """
    root, project, round_index = inputs.root, inputs.project, inputs.plan.index
    layout = ProjectLayout(root)
    device.place(model.network)
    cases = project.cases_to_propose()
    stage = f"Round {round_index}: pseudo-labels"
    for number, case in enumerate(cases, start=1):
        if report.is_cancelled():
            raise Cancelled
        doubt_file = layout.doubt(round_index, case.id)
        if not doubt_file.exists():
            slices = load_case_slices(root, case, inputs.preprocess)
            segmented = segment_slices(model, slices.images, slices.grid, case.geometry, device)
            proposal = layout.proposal(round_index, case.id)
            write_segmentation(proposal, segmented.labels, project.schema)
            write_volume(layout.uncertainty(round_index, case.id), segmented.uncertainty)
            # written last: where it stands, the other two are whole
            write_json(doubt_file, to_json(segmented.doubt))
            report.artifact("proposal", proposal)
        report.progress(stage, number, len(cases))
