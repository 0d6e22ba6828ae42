"""Which images of a patient with several are taken: all as channels of one case, or one of them."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from PseudoLabelCLLib.curation.find.channel_files import PatientImages, patients_in
from PseudoLabelCLLib.curation.find.file_names import Channels, channels_in
from PseudoLabelCLLib.curation.find.find_dicom import FoundSeries
from PseudoLabelCLLib.curation.find.search_notes import SearchNotes
from PseudoLabelCLLib.curation.find.segmentation_pairs import Pairs
from PseudoLabelCLLib.domain.channels import NamedImage
from PseudoLabelCLLib.domain.question import Asking, KeptAnswer, LeftOutError, QuestionError
from PseudoLabelCLLib.domain.question_kinds import LEAVE_OUT, Choice, QuestionKind
from PseudoLabelCLLib.domain.text import NO_TEXT, Text, counted
from PseudoLabelCLLib.messages.answers import Problem

# The answer that makes a case of each channel.
EVERY_CHANNEL = "every"
# The answer that makes all images of a patient channels of one case; the first channel follows.
ALL_CHANNELS = "all:"


@dataclass
class ChannelChoice:
    """Which images of patients with several are taken.

    Args:
        notes: Where it is told what is not taken.
        asking: Asks the person.
        kept: Answers that the project keeps.
        channels: What the images of a case are called, if it has several.
        lone: Series that lie in a folder of their own, which is named as a file would be.
        chosen: Images of patients with several, each with the answer that chose it.
        patients: All images of a patient, by the first one, where a case has several.
    """

    notes: SearchNotes
    asking: Asking
    kept: Sequence[KeptAnswer] = ()
    channels: tuple[str, ...] = ()
    lone: dict[Path, FoundSeries] = field(default_factory=dict)
    chosen: dict[Path, KeptAnswer] = field(default_factory=dict)
    patients: dict[Path, PatientImages] = field(default_factory=dict)

    def kept_of(self, volume: Path) -> tuple[KeptAnswer, ...]:
        """Return the answer that chose an image, if it was one of several."""
        answer = self.chosen.get(volume)
        return () if answer is None else (answer,)

    def further_of(self, first: Path) -> tuple[NamedImage, ...]:
        """Return the other images of a patient, by the first one."""
        patient = self.patients.get(first)
        further = () if patient is None else patient.further(self.channels)
        series = (self.lone.get(Path(one.image)) for one in further)
        return tuple(
            one if own is None else replace(one, series_uid=own.uid)
            for one, own in zip(further, series, strict=True)
        )

    def name_of(self, first: Path, otherwise: str) -> str:
        """Return what a patient is called whose images were found together."""
        patient = self.patients.get(first)
        return otherwise if patient is None else patient.name

    @property
    def first_channel(self) -> str:
        """What the first image of a case is called; empty for one unnamed image."""
        return self.channels[0] if self.channels else ""

    def chosen_of(self, root: Path, pairs: Pairs) -> dict[Path, Path | None]:
        """Return volumes with their segmentations; of channels of one patient the chosen one."""
        found = {**dict.fromkeys(self.lone), **dict(pairs.volumes)}
        if self.channels:
            return self.together(found)
        labels = [file for file in found.values() if file is not None]
        groups = channels_in(found, (*labels, *pairs.unmatched))
        if not groups:
            return found
        place_of = {file: n for n, group in enumerate(groups) for file in group.files.values()}
        choice = self._ask_about_channels(root, groups)
        for group in groups:
            told = f"'{_patient(group)}' has several images: {', '.join(group.files)}."
            answer = KeptAnswer(QuestionKind.CHANNELS, choice, told)
            self.chosen |= dict.fromkeys(group.files.values(), answer)
        if choice.startswith(ALL_CHANNELS):
            self.channels = _first_of(choice.removeprefix(ALL_CHANNELS), groups)
            return self.together(found)
        chosen: dict[Path, Path | None] = {}
        for volume, annotation in found.items():
            if volume not in place_of or choice == EVERY_CHANNEL:
                chosen[volume] = annotation
                continue
            files = groups[place_of[volume]].files
            if files.get(choice) == volume:
                own = (found[file] for file in files.values())
                chosen[volume] = next((file for file in own if file), None)
        self.notes.tell_together(
            tuple(
                next(iter(group.files.values()))
                for group in groups
                if choice not in (*group.files, EVERY_CHANNEL, "")
            ),
            Text("belongs to a patient without an image called '{name}'", name=choice),
            Text("Choose another channel, or add the volume by itself."),
        )
        return chosen

    def together(self, found: dict[Path, Path | None]) -> dict[Path, Path | None]:
        """Return the first image of each patient with the segmentation of any of them."""
        patients, others = patients_in(found, self.channels)
        chosen: dict[Path, Path | None] = {}
        without = []
        for patient in patients:
            first = patient.files.get(self.channels[0])
            if first is None:
                without.append(next(iter(patient.files.values())))
                continue
            own = (found[file] for file in (first, *patient.files.values()))
            chosen[first] = next((file for file in own if file), None)
            self.patients[first] = patient
        self.notes.tell_together(
            tuple(without),
            Text("belongs to a patient without a {channel} image", channel=self.channels[0]),
            Text("Add that image to the folder; segmentations lie on its grid."),
        )
        if not patients or len(self.channels) == 1:
            return chosen | {file: found[file] for file in others}
        self.notes.tell_together(
            tuple(others),
            Text("does not say in its name which channel it is, and is left out"),
            Text(
                "Give it a name that ends in one of {channels}, if it is an image.",
                channels=", ".join(self.channels),
            ),
        )
        return chosen

    def _ask_about_channels(self, root: Path, groups: tuple[Channels, ...]) -> str:
        """Return which channel is taken; an empty text takes none of them."""
        names = dict.fromkeys(name for group in groups for name in group.files)
        first = groups[0]
        all_of_them = [f"{ALL_CHANNELS}{name}" for name in names]
        kept = self._kept_choice((*names, *all_of_them, EVERY_CHANNEL))
        if kept:
            return kept
        try:
            return self.asking.ask(
                QuestionKind.CHANNELS,
                counted(
                    len(groups),
                    "In '{folder}', {count} patient has several images each, such as '{first}': "
                    "{names}. A case has one image, or all of them as channels.",
                    "In '{folder}', {count} patients have several images each, such as '{first}': "
                    "{names}. A case has one image, or all of them as channels.",
                    folder=root,
                    first=_patient(first),
                    names=", ".join(first.files),
                ),
                choices=_choices(tuple(names)),
            )
        except QuestionError as asked:
            problem = Problem("", is_error=True, message=asked.message, remedy=NO_TEXT)
            self.notes.problems.append(replace(problem, question=asked.question))
        except LeftOutError as left_out:
            self.notes.tell(left_out.message, NO_TEXT, is_error=False)
        return ""

    def _kept_choice(self, names: Sequence[str]) -> str:
        """Return what the project keeps as answer, if nobody answers now and it fits; and tell."""
        if any(one.kind is QuestionKind.CHANNELS for one in self.asking.given):
            return ""
        own = (one.value for one in self.kept if one.kind is QuestionKind.CHANNELS)
        kept = next(own, "")
        if kept not in names:
            return ""
        self.notes.tell(
            Text(
                "Patients have several images each; the answer that the project keeps was used: "
                "channels={kept}.",
                kept=kept,
            ),
            Text(
                "To take another one, add its files by themselves, or, on the command line, "
                "answer anew with --answer channels=NAME."
            ),
            is_error=False,
        )
        return kept


def _choices(names: Sequence[str]) -> tuple[Choice, ...]:
    """Return the answers to which of several images are taken."""
    return (
        *(
            Choice(
                f"{ALL_CHANNELS}{name}",
                Text("All, on the grid of {name}", name=name),
                Text(
                    "makes all images of a patient channels of one case, whose segmentations "
                    "lie on '{name}'",
                    name=name,
                ),
            )
            for name in names
        ),
        *(
            Choice(
                name,
                Text("{name}", name=name),
                Text("takes the images called '{name}'", name=name),
            )
            for name in names
        ),
        Choice(EVERY_CHANNEL, Text("Each as its own case"), Text("makes each image its own case")),
        LEAVE_OUT,
    )


def _first_of(channel: str, groups: tuple[Channels, ...]) -> tuple[str, ...]:
    """Return the names of all channels, the chosen one first."""
    names = dict.fromkeys(name for group in groups for name in group.files)
    return (channel, *(name for name in names if name != channel))


def _patient(group: Channels) -> str:
    """Return what a patient with several images is called."""
    return group.name or next(iter(group.files.values())).parent.name
