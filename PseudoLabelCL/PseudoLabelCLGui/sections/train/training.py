"""The page "Train": profile, rounds, Train, Pause and Stop, curves, log."""

from functools import partial
from typing import Any

from PseudoLabelCLGui.panel_state import PanelState, TrainState
from PseudoLabelCLGui.sections.parts.asking import MODEL_KINDS, askFile, askNewFile, confirm
from PseudoLabelCLGui.sections.parts.folding import Folding
from PseudoLabelCLGui.sections.parts.section import Surroundings
from PseudoLabelCLGui.sections.parts.showing import (
    showAction,
    showChecked,
    showChoice,
    showField,
    showText,
    showUsable,
)
from PseudoLabelCLGui.sections.train.plots import CurvePlot
from PseudoLabelCLGui.sections.train.plotting import PlottingSection
from PseudoLabelCLGui.translation import _
from PseudoLabelCLLib.domain.config import Profile
from PseudoLabelCLLib.domain.pretraining_config import Pretraining

PROFILES = tuple(profile.value for profile in Profile)
PRETRAININGS = tuple(method.value for method in Pretraining)
PROFILE_SETTING = "profile"
PRETRAINING_SETTING = "pretraining.method"
BIAS_SETTING = "preprocess.bias_correction"
PIECES_SETTING = "pseudo_label.single_pieces"
ANATOMY_SETTING = "pseudo_label.anatomy_prior.enabled"
# The text of a setting that is left to the program.
NOT_SET = "null"


class TrainingSection(PlottingSection[TrainState]):
    """Starts, pauses and stops training, and shows how it goes."""

    def __init__(self, surroundings: Surroundings) -> None:
        super().__init__(
            surroundings,
            CurvePlot(surroundings.ui.trainingPlot, "Training", _("step"), _("loss"), "Dice"),
        )
        self._log: tuple[str, ...] = ()
        self._fields = self._settingFields()
        self._checks = {
            BIAS_SETTING: self.ui.biasCorrectionCheck,
            PIECES_SETTING: self.ui.singlePiecesCheck,
            ANATOMY_SETTING: self.ui.anatomyPriorCheck,
        }
        self._tips = {
            name: (widget, widget.toolTip)
            for name, widget in {
                **self._fields,
                **self._checks,
                PROFILE_SETTING: self.ui.profileCombo,
                PRETRAINING_SETTING: self.ui.pretrainingCombo,
                "rounds": self.ui.roundsSpin,
                "stop rule": self.ui.stopWhenNoBetterCheck,
                "pretrain": self.ui.pretrainButton,
            }.items()
        }
        ui = self.ui
        self._folding = Folding(
            self,
            (
                (ui.curveToggle, ui.curveFrame),
                (ui.historyToggle, ui.historyFrame),
                (ui.advancedToggle, ui.advancedFrame),
                (ui.logToggle, ui.logFrame),
            ),
            self._onUnfold,
        )
        self._folding.unfold(ui.curveToggle)
        for toggle in (ui.curveToggle, ui.historyToggle, ui.logToggle):
            self._folding.offer(toggle, isOffered=False)
        self._fillChoices()
        self._connect()

    def _connect(self) -> None:
        self.connect(self.ui.profileCombo, "currentIndexChanged(int)", self._onProfile)
        self.connect(self.ui.pretrainingCombo, "currentIndexChanged(int)", self._onPretraining)
        for name, check in self._checks.items():
            self.connect(check, "clicked()", partial(self._onCheck, name))
        self.connect(self.ui.trainButton, "clicked()", self._onTrain)
        self.connect(self.ui.pauseButton, "clicked()", self._onPause)
        self.connect(self.ui.stopButton, "clicked()", self._onStop)
        self.connect(self.ui.pretrainButton, "clicked()", self._onPretrain)
        self.connect(self.ui.savePretrainedButton, "clicked()", self._onSavePretrained)
        self.connect(self.ui.startFromButton, "clicked()", self._onStartFrom)
        for name, field in self._fields.items():
            self.connect(field, "editingFinished()", partial(self._onSetting, name))

    def show(self, state: PanelState) -> None:
        """Show choices, buttons, progress, curves and log."""
        self._folding.offer(self.ui.historyToggle, isOffered=bool(state.rounds.rows))
        train = state.train
        if train == self._shown:
            return
        self._shown = train
        self._showChoices(train)
        showText(self.ui.trainingSentenceLabel, train.sentence or train.train.tool_tip)
        showAction(self.ui.trainButton, train.train)
        showAction(self.ui.pauseButton, train.pause)
        showAction(self.ui.stopButton, train.stop)
        showAction(self.ui.startFromButton, train.start)
        showAction(self.ui.savePretrainedButton, train.save_pretrained)
        hasCurve = bool(train.loss.x or train.validation.x)
        self._folding.offer(self.ui.curveToggle, isOffered=hasCurve)
        self._plot.show((train.loss, train.validation))
        self._showLog(train.log)

    def _settingFields(self) -> dict[str, Any]:
        ui = self.ui
        return {
            "training.supervised.num_steps": ui.supervisedStepsEdit,
            "training.joint.num_steps": ui.jointStepsEdit,
            "training.joint.batch_size": ui.batchSizeEdit,
            "training.joint.learning_rate": ui.learningRateEdit,
            "preprocess.in_plane_spacing_mm": ui.pixelSizeEdit,
            "preprocess.max_window_size": ui.windowEdit,
            "preprocess.neighbouring_slices": ui.neighboursEdit,
            "pseudo_label.num_augmented_copies": ui.copiesEdit,
            "training.seed": ui.seedEdit,
        }

    def _fillChoices(self) -> None:
        words = {
            "quick": _("quick: a first result in minutes"),
            "balanced": _("balanced: longer, for final results"),
            "paper": _("paper: as published, takes hours"),
            "legacy": _("legacy: as the published code"),
            "none": _("none"),
            "global+local": _("global and local contrast"),
            "positional": _("by slice position"),
            "masked": _("by masked images"),
        }
        for combo, values in (
            (self.ui.profileCombo, PROFILES),
            (self.ui.pretrainingCombo, PRETRAININGS),
        ):
            for value in values:
                combo.addItem(words.get(value, value))

    def _showChoices(self, train: TrainState) -> None:
        if train.profile in PROFILES:
            showChoice(self.ui.profileCombo, PROFILES.index(train.profile))
        if train.pretraining in PRETRAININGS:
            showChoice(self.ui.pretrainingCombo, PRETRAININGS.index(train.pretraining))
        for name, check in self._checks.items():
            showChecked(check, train.settings.get(name) == "true")
        for name, field in self._fields.items():
            showField(field, _typed(train, name))
        whyNoRounds = _("Pause the training first.") if train.is_running else ""
        reasons = {name: _whySettled(train, name) for name in self._tips}
        reasons |= {"rounds": whyNoRounds, "stop rule": whyNoRounds}
        reasons["pretrain"] = reasons[PRETRAINING_SETTING]
        if not reasons["pretrain"] and train.pretraining == "none":
            reasons["pretrain"] = _("Choose a pre-training method first.")
        for name, (widget, tip) in self._tips.items():
            showUsable(widget, reasons[name], tip)

    def _showLog(self, lines: tuple[str, ...]) -> None:
        if lines == self._log:
            return
        old = len(self._log)
        if old and lines[:old] == self._log:
            for line in lines[old:]:
                self.ui.logText.appendPlainText(line)
        else:
            self.ui.logText.setPlainText("\n".join(lines))
        self._log = lines
        self._folding.offer(self.ui.logToggle, isOffered=bool(lines))

    def _onUnfold(self, button: Any) -> None:
        if button is self.ui.historyToggle:
            self.presenter.train.read_history()

    def _onProfile(self) -> None:
        self.presenter.train.set_profile(PROFILES[self.ui.profileCombo.currentIndex])

    def _onPretraining(self) -> None:
        self.presenter.train.set_pretraining(PRETRAININGS[self.ui.pretrainingCombo.currentIndex])

    def _onCheck(self, name: str) -> None:
        value = "true" if self._checks[name].checked else "false"
        self.presenter.train.change_setting(name, value)

    def _onSetting(self, name: str) -> None:
        text = self._fields[name].text.strip()
        if self._shown is not None and text != _typed(self._shown, name):
            self.presenter.train.change_setting(name, text or NOT_SET)

    def _onTrain(self) -> None:
        self.presenter.train.start(self.ui.roundsSpin.value, self.ui.stopWhenNoBetterCheck.checked)

    def _onPause(self) -> None:
        self.presenter.train.pause()

    def _onStop(self) -> None:
        question = _(
            "Discard this training?\n\nWhat this round or pre-training has learned so far is no "
            "longer used; its files stay in the project folder. Earlier rounds and everything you "
            "drew are kept. To continue later, press Pause instead."
        )
        lost = self._shown.lost_with_it if self._shown is not None else ""
        if confirm(f"{question}\n\n{lost}" if lost else question):
            self.presenter.train.stop()

    def _onStartFrom(self) -> None:
        if self._shown is not None and self._shown.has_start:
            self.presenter.train.start_from("")
            return
        model = askFile(self.top, _("Start from a model"), MODEL_KINDS)
        if model:
            self.presenter.train.start_from(model)

    def _onPretrain(self) -> None:
        self.presenter.train.pretrain()

    def _onSavePretrained(self) -> None:
        title = _("Save the pre-trained network")
        file = askNewFile(self.top, title, "start.plcl", MODEL_KINDS)
        if file:
            self.presenter.train.save_pretrained(file)


def _typed(train: TrainState, name: str) -> str:
    """Return the text of a setting's field; what is left to the program is empty."""
    value = train.settings.get(name, "")
    return "" if value == NOT_SET else value


def _whySettled(train: TrainState, name: str) -> str:
    """Say why a setting cannot be changed now, or nothing."""
    if name in train.can_change:
        return ""
    if train.is_running:
        return _("Pause the training first.")
    if train.can_change:
        return _("Cannot be changed once the first round has started.")
    return train.train.tool_tip or _("Create or open a project first.")
