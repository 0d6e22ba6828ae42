"""The model, and segmenting other volumes with it."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import qt
import slicer

from PseudoLabelCLGui.mrml_bridge import (
    SavedVolume,
    VolumeSnapshot,
    made_as,
    snapshot_volume,
    source_of,
)
from PseudoLabelCLGui.panel_state import PanelState, UseState
from PseudoLabelCLGui.presenter.words import format_words
from PseudoLabelCLGui.sections.parts.asking import MODEL_KINDS, askFile, askFiles, askNewFile
from PseudoLabelCLGui.sections.parts.background_work import BackgroundWork
from PseudoLabelCLGui.sections.parts.plain_text import plain
from PseudoLabelCLGui.sections.parts.section import Section, Surroundings
from PseudoLabelCLGui.sections.parts.showing import showAction, showLines, showText, showVisible
from PseudoLabelCLGui.sections.project.question_lines import QuestionLines
from PseudoLabelCLGui.translation import _, translated
from PseudoLabelCLLib.domain.channel_names import patients_of
from PseudoLabelCLLib.domain.channels import NamedImage
from PseudoLabelCLLib.domain.errors import VolumeError
from PseudoLabelCLLib.domain.file_formats import SegmentationFormat, whole_suffix

FORMATS = tuple(SegmentationFormat)


class UseSection(Section):
    """Applies, saves and loads the model.

    Args:
        surroundings: What a section works with.
        work: Writes volumes that lie nowhere on disk, in threads.
        folder: Where such volumes are written.
        results: Where results are written for which the person wants no folder.
    """

    def __init__(
        self, surroundings: Surroundings, work: BackgroundWork, folder: Path, results: Path
    ) -> None:
        super().__init__(surroundings)
        self._work = work
        self._folder = folder
        self._results = results
        self._shown: UseState | None = None
        self._listed: list[tuple[str, str]] = []
        self._files: list[str] = []
        self._questions = QuestionLines(self, self.ui.applyQuestions, self._onAnswer)
        showVisible(self.ui.applyQuestionsArea, visible=False)
        for text in map(format_words, FORMATS):
            self.ui.applyFormatCombo.addItem(text)
        for button, slot in self._slots():
            self.connect(button, "clicked()", slot)
        self.connect(self.ui.applyList, "itemChanged(QListWidgetItem*)", self._showButtons)
        self.connect(self.ui.applyFolderEdit, "currentPathChanged(QString)", self._showButtons)

    def show(self, state: PanelState) -> None:
        """Show the model, the queue and the results."""
        use = state.use
        if use == self._shown:
            return
        if self._shown is None or self._shown.questions != use.questions:
            self._questions.show(use.questions)
            showVisible(self.ui.applyQuestionsArea, visible=bool(use.questions))
        self._shown = use
        noModel = _("No model yet: train a round, or load a model file.")
        showText(self.ui.modelLabel, use.model or noModel)
        showAction(self.ui.loadModelButton, use.load_model)
        showAction(self.ui.saveModelButton, use.save_model)
        showAction(self.ui.cancelApplyButton, use.cancel)
        showVisible(self.ui.cancelApplyButton, use.is_running)
        showLines(self.ui.resultsList, use.results)
        self._showButtons()

    def tick(self) -> None:
        """List the volumes of the scene anew when they have changed."""
        nodes = [
            node
            for node in slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")
            if made_as(node) is None and not node.IsA("vtkMRMLLabelMapVolumeNode")
        ]
        wanted = [(node.GetID(), node.GetName()) for node in nodes]
        wanted += [(file, Path(file).name) for file in self._files]
        if wanted != self._listed:
            self._list(wanted)

    def _slots(self) -> tuple[tuple[Any, Callable[[], None]], ...]:
        ui = self.ui
        return (
            (ui.newestModelButton, self._onNewest),
            (ui.loadModelButton, self._onLoad),
            (ui.saveModelButton, self._onSave),
            (ui.applyFilesButton, self._onAddFiles),
            (ui.markAllButton, self._onMarkAll),
            (ui.applyButton, self._onApply),
            (ui.cancelApplyButton, self._onCancel),
        )

    def _list(self, wanted: list[tuple[str, str]]) -> None:
        marked = {identity for identity, _item in self._marked()}
        self.ui.applyList.blockSignals(True)
        self.ui.applyList.clear()
        for identity, name in wanted:
            item = qt.QListWidgetItem(name)
            item.setData(qt.Qt.UserRole, identity)
            item.setToolTip(plain(identity if identity in self._files else name))
            item.setCheckState(qt.Qt.Checked if identity in marked else qt.Qt.Unchecked)
            self.ui.applyList.addItem(item)
        self.ui.applyList.blockSignals(False)
        self._listed = wanted
        self._showButtons()

    def _items(self) -> list[Any]:
        return [self.ui.applyList.item(row) for row in range(self.ui.applyList.count)]

    def _marked(self) -> list[tuple[str, Any]]:
        marked = [item for item in self._items() if item.checkState() == qt.Qt.Checked]
        return [(str(item.data(qt.Qt.UserRole)), item) for item in marked]

    def _showButtons(self) -> None:
        if self._shown is None:
            return
        showAction(self.ui.applyButton, self._shown.apply)
        self.ui.newestModelButton.enabled = self._shown.save_model.enabled
        self._showNote()
        missing = self._missing() if self._shown.apply.enabled else ""
        if missing:
            self.ui.applyButton.enabled = False
            self.ui.applyButton.toolTip = plain(missing)

    def _missing(self) -> str:
        if not self._marked():
            return _("Mark the volumes to segment first")
        try:
            self._patients()
        except VolumeError as error:
            return f"{translated(error.message)} {translated(error.remedy)}"
        isForFile = any(identity in self._files for identity, _item in self._marked())
        if isForFile and not self._resultFolder():
            return _("Choose the folder first: some of the marked volumes are not in the scene")
        return ""

    def _resultFolder(self) -> str:
        return str(self.ui.applyFolderEdit.currentPath.strip())

    def _showNote(self) -> None:
        if self._resultFolder():
            note = _("The results are written there and shown over their volumes.")
        else:
            note = _(
                "Without a folder the results exist only in the scene: save the scene, or they "
                "are lost when Slicer is closed."
            )
        showText(self.ui.applyFolderNote, note)

    def _onNewest(self) -> None:
        self.presenter.use.load_newest_model()

    def _onLoad(self) -> None:
        file = askFile(self.top, _("Load a model"), MODEL_KINDS)
        if file:
            self.presenter.use.load_model(file)

    def _onSave(self) -> None:
        file = askNewFile(self.top, _("Save the model"), "model.plcl", MODEL_KINDS)
        if file:
            self.presenter.use.save_model(file)

    def _onAddFiles(self) -> None:
        kinds = _("Volumes (*.nrrd *.nhdr *.nii *.nii.gz *.mha *.mhd);;All files (*)")
        chosen = askFiles(self.top, _("Volumes to segment"), kinds)
        self._files += [file for file in chosen if file not in self._files]
        self.tick()
        for item in self._items():
            if item.data(qt.Qt.UserRole) in chosen:
                item.setCheckState(qt.Qt.Checked)

    def _onMarkAll(self) -> None:
        items = self._items()
        allMarked = len(self._marked()) == len(items)
        for item in items:
            item.setCheckState(qt.Qt.Unchecked if allMarked else qt.Qt.Checked)

    def _patients(self) -> tuple[tuple[int, ...], ...]:
        """Return which of the marked volumes are of one patient, in the order of the model.

        Raises:
            VolumeError: A volume's name says no channel of the model, or a patient lacks one.
        """
        marked = self._marked()
        channels = self._shown.channels if self._shown else ()
        if len(channels) < 2:
            return tuple((number,) for number in range(len(marked)))
        names = [
            _stem(identity) if identity in self._files else str(item.text())
            for identity, item in marked
        ]
        return patients_of(names, channels)

    def _onApply(self) -> None:
        volumes = [self._volume(identity) for identity, _item in self._marked()]
        patients = self._patients()
        firsts = [volumes[numbers[0]][0] for numbers in patients]
        files = tuple(str(source.path) for source in firsts)
        series_uids = tuple(source.series_uid for source in firsts)
        further = self._furtherImages(patients, [source for source, _snapshot in volumes])
        pending = [(snapshot, source.path) for source, snapshot in volumes if snapshot]
        self._folder.mkdir(parents=True, exist_ok=True)
        folder = self._resultFolder()
        if folder:
            self.ui.applyFolderEdit.addCurrentPathToHistory()
        else:
            self._results.mkdir(parents=True, exist_ok=True)
            folder = str(self._results)
        form = FORMATS[self.ui.applyFormatCombo.currentIndex]
        self._work.do(
            partial(_write_all, pending),
            lambda _none: self.presenter.use.apply(files, folder, form, series_uids, further),
        )

    def _furtherImages(
        self, patients: Sequence[tuple[int, ...]], sources: Sequence[SavedVolume]
    ) -> tuple[tuple[NamedImage, ...], ...]:
        """Return the images of each patient besides the first one; nothing if all have one."""
        channels = self._shown.channels[1:] if self._shown else ()
        if not channels:
            return ()
        return tuple(
            tuple(
                NamedImage(channel, str(sources[number].path), sources[number].series_uid)
                for channel, number in zip(channels, numbers[1:], strict=True)
            )
            for numbers in patients
        )

    def _volume(self, identity: str) -> tuple[SavedVolume, VolumeSnapshot | None]:
        """Return where a volume lies on disk, or will, and what is to be written there first."""
        if identity in self._files:
            return SavedVolume(Path(identity)), None
        node = slicer.mrmlScene.GetNodeByID(identity)
        source = source_of(node)
        if source is not None:
            return source, None
        return SavedVolume(self._folder / f"{identity}.nrrd"), snapshot_volume(node)

    def _onAnswer(self, number: int, value: str) -> None:
        self.presenter.use.answer_question(number, value)

    def _onCancel(self) -> None:
        self.presenter.use.cancel()


def _stem(file: str) -> str:
    """Return a file's name without its ending, such as .nii.gz."""
    name = Path(file).name
    return name.removesuffix(whole_suffix(name))


def _write_all(pending: Sequence[tuple[VolumeSnapshot, Path]]) -> None:
    for snapshot, path in pending:
        snapshot.write(path)
