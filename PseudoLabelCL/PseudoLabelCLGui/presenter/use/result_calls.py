"""The presenter's actions of step "use": what the panel calls about models and exports."""

from PseudoLabelCLGui.panel_state import Light
from PseudoLabelCLGui.presenter.facts.export_facts import ExportChoices
from PseudoLabelCLGui.presenter.use.exporting import ExportActions
from PseudoLabelCLGui.presenter.use.use import UseActions
from PseudoLabelCLLib.domain.file_formats import SegmentationFormat
from PseudoLabelCLLib.domain.segmentation import Terminology


class ResultCalls:
    """A part of `Presenter`, which sets the attributes below."""

    _use: UseActions
    _export: ExportActions

    # --- the model

    def use_model(self, file: str) -> None:
        """Take a model file for segmenting volumes."""
        self._use.use_model(str(file))

    def use_newest_model(self) -> None:
        """Take the model of the newest round."""
        self._use.use_newest_model()

    def apply_model(
        self,
        images: tuple[str, ...],
        output_folder: str,
        format: SegmentationFormat = SegmentationFormat.SEG_NRRD,  # noqa: A002 - as in the job
        series_uids: tuple[str | None, ...] = (),
    ) -> None:
        """Segment volumes: files or folders of DICOM slices; `on_segmented` tells of each."""
        self._use.apply_model(images, str(output_folder), format, series_uids)

    def cancel_apply(self) -> None:
        """Stop segmenting after the volume at hand."""
        self._use.cancel()

    def save_model(self, file: str) -> None:
        """Save the newest model as one file."""
        self._use.save_model(str(file))

    # --- export

    def export(
        self,
        folder: str,
        format: SegmentationFormat = SegmentationFormat.SEG_NRRD,  # noqa: A002 - as in the request
        case_ids: tuple[str, ...] = (),
        include_unreviewed: bool = False,
    ) -> None:
        """Write segmentations into a folder; no case means all."""
        self._export.export(str(folder), format, case_ids, include_unreviewed=include_unreviewed)

    def check_export(self, choices: ExportChoices) -> None:
        """Look for what would stop or surprise a DICOM export; `state.export` tells."""
        self._export.check(choices)

    def export_dicom(self, choices: ExportChoices) -> None:
        """Check if need be, then write verified DICOM segmentations, one after the other."""
        self._export.export_dicom(choices)

    def cancel_export(self) -> None:
        """Stop the DICOM export, or its check, after the volume at hand."""
        self._export.cancel()

    def look_in(self, folder: str) -> None:
        """Look for the DICOM series that were not found in or below a folder."""
        self._export.look_in(str(folder))

    def write_volumes(self, kind: str) -> None:
        """Write volumes that are not from DICOM as series first; they are "MR", "CT" or "OT"."""
        self._export.write_volumes(kind)

    def accept_losses(self, case_id: str) -> None:
        """Export a volume although voxels change; the person has said so."""
        self._export.accept_losses(case_id)

    def choose_codes(self, label_value: int, terminology: Terminology) -> None:
        """Say what a structure is."""
        self._export.choose_codes(label_value, terminology)

    def told_by_database(self, light: Light, text: str) -> None:
        """Take what became of the import into Slicer's DICOM database."""
        self._export.told_by_database(light, text)
