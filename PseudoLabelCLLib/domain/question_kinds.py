"""The kinds of questions that can be asked about files and cases, with their usual answers."""

from dataclasses import dataclass
from enum import Enum

from PseudoLabelCLLib.domain.text import Text

# The answer to any question about a file: it takes no part.
LEAVE = "leave"


class QuestionKind(Enum):
    """What can be asked; the value is what the flag calls it."""

    TWO_PLACES = "two-places"
    SAME_SHAPE = "same-shape"
    OTHER_GRID = "other-grid"
    OUTSIDE = "outside"
    BY_IDENTIFIER = "by-identifier"
    NAME_OR_TERM = "name-or-term"
    NO_SEGMENT = "no-segment"
    OVERLAP = "overlap"
    SAME_VOXELS = "same-voxels"
    NO_BACKGROUND = "no-background"
    UNLISTED = "unlisted"
    CHANNELS = "channels"
    FRAMES = "frames"
    LABEL_MAP = "label-map"
    MODALITY = "modality"
    SAME_IMAGE = "same-image"
    PLANE = "plane"
    SLICE_ORDER = "slice-order"
    VANISHING = "vanishing"
    SPARSE = "sparse"
    MEMORY = "memory"


@dataclass(frozen=True)
class Choice:
    """One answer that a question can have.

    Args:
        value: What is typed after the kind.
        button: What a button says.
        effect: What it does, as the second half of a sentence.
    """

    value: str
    button: Text
    effect: Text


LEAVE_OUT = Choice(LEAVE, Text("Leave it out"), Text("leaves the file out"))


@dataclass(frozen=True)
class KindOfQuestion:
    """What a kind of question is about, and its usual answers.

    Args:
        found: What was found, as a sentence for the documentation.
        choices: The answers; a single question may have others.
    """

    found: Text
    choices: tuple[Choice, ...]


QUESTIONS: dict[QuestionKind, KindOfQuestion] = {
    QuestionKind.TWO_PLACES: KindOfQuestion(
        Text(
            "The two matrices of a NIfTI header place the image at two different positions, "
            "and no segmentation shows which one is right."
        ),
        (
            Choice(
                "sform", Text("Use the sform"), Text("takes the sform, as nibabel, FSL and SPM do")
            ),
            Choice(
                "qform", Text("Use the qform"), Text("takes the qform, as the scanner wrote it")
            ),
            LEAVE_OUT,
        ),
    ),
    QuestionKind.SAME_SHAPE: KindOfQuestion(
        Text(
            "A segmentation has the same array shape as its image, but its header gives a "
            "different grid."
        ),
        (
            Choice(
                "voxels",
                Text("Use it voxel for voxel"),
                Text("uses it voxel for voxel, whatever its header says"),
            ),
            LEAVE_OUT,
        ),
    ),
    QuestionKind.OTHER_GRID: KindOfQuestion(
        Text("A segmentation was drawn on a different grid from that of its image."),
        (
            Choice(
                "resample",
                Text("Resample it"),
                Text("resamples it onto the grid of the image, by position"),
            ),
            LEAVE_OUT,
        ),
    ),
    QuestionKind.OUTSIDE: KindOfQuestion(
        Text("Labelled voxels of a segmentation lie outside its image."),
        (Choice("drop", Text("Drop these voxels"), Text("drops these voxels")), LEAVE_OUT),
    ),
    QuestionKind.BY_IDENTIFIER: KindOfQuestion(
        Text(
            "Segments match structures only by what Slicer renumbers in every file: their "
            "identifiers or default names."
        ),
        (
            Choice("take", Text("Yes, it is that structure"), Text("takes it as that structure")),
            Choice(
                "other",
                Text("No, it is another"),
                Text("takes it as one that the project does not have"),
            ),
            LEAVE_OUT,
        ),
    ),
    QuestionKind.NAME_OR_TERM: KindOfQuestion(
        Text("A segment has the name of one structure and the terminology of another."),
        (
            Choice("name", Text("The name is right"), Text("goes by the name")),
            Choice("term", Text("The terminology is right"), Text("goes by the terminology")),
            LEAVE_OUT,
        ),
    ),
    QuestionKind.NO_SEGMENT: KindOfQuestion(
        Text(
            "Some voxels of a segmentation belong to none of the segments that its header "
            "describes."
        ),
        (
            Choice("background", Text("They are background"), Text("counts them as background")),
            LEAVE_OUT,
        ),
    ),
    QuestionKind.OVERLAP: KindOfQuestion(
        Text("Two structures of a segmentation overlap; a voxel can belong to only one."),
        (
            Choice(
                "later",
                Text("The later structure wins"),
                Text("assigns them to the structure further down the list"),
            ),
            Choice(
                "earlier",
                Text("The earlier structure wins"),
                Text("assigns them to the one further up"),
            ),
            LEAVE_OUT,
        ),
    ),
    QuestionKind.SAME_VOXELS: KindOfQuestion(
        Text(
            "Several segments of a file have the same value in the same layer and therefore "
            "the same voxels."
        ),
        (Choice("NAME", Text("They are NAME"), Text("takes them as that segment")), LEAVE_OUT),
    ),
    QuestionKind.NO_BACKGROUND: KindOfQuestion(
        Text("A segmentation has no background voxels."),
        (
            Choice("NUMBER", Text("NUMBER is background"), Text("counts that value as background")),
            Choice(
                "shift",
                Text("All values are N too high"),
                Text("subtracts the lowest value from every value"),
            ),
            Choice(
                "none",
                Text("All values are structures"),
                Text("takes every voxel as part of a structure"),
            ),
            LEAVE_OUT,
        ),
    ),
    QuestionKind.UNLISTED: KindOfQuestion(
        Text("A segmentation has label values or segments that the project does not have."),
        (
            Choice("background", Text("They are background"), Text("counts them as background")),
            Choice(
                "new",
                Text("Add them as structures"),
                Text("adds each to the project as a structure (only before round 0)"),
            ),
            LEAVE_OUT,
        ),
    ),
    QuestionKind.CHANNELS: KindOfQuestion(
        Text(
            "A folder holds several images of each patient (channels, sequences), and the project "
            "has one image a case so far."
        ),
        (
            Choice(
                "all:NAME",
                Text("All, on the grid of NAME"),
                Text(
                    "makes all images of a patient channels of one case, whose segmentations lie "
                    "on NAME"
                ),
            ),
            Choice("NAME", Text("NAME"), Text("takes the images called NAME, such as t1 or 0000")),
            Choice("every", Text("Each as its own case"), Text("makes each image its own case")),
            LEAVE_OUT,
        ),
    ),
    QuestionKind.FRAMES: KindOfQuestion(
        Text("A file holds several volumes: frames of a cine, or channels."),
        (
            Choice("NUMBER", Text("Number NUMBER"), Text("takes that one, counted from 1")),
            Choice(
                "every",
                Text("Each as its own case"),
                Text("makes each one its own case (or its own result)"),
            ),
            LEAVE_OUT,
        ),
    ),
    QuestionKind.LABEL_MAP: KindOfQuestion(
        Text(
            "An image looks like a label map: it has at most 64 different values, all whole "
            "numbers, one of them in more than half of its voxels."
        ),
        (
            Choice("image", Text("It is an image"), Text("uses it as an image")),
            LEAVE_OUT,
        ),
    ),
    QuestionKind.MODALITY: KindOfQuestion(
        Text("A volume is CT and the annotated volumes are not, or the other way round."),
        (
            Choice("use", Text("Use it"), Text("treats it like the annotated volumes")),
            LEAVE_OUT,
        ),
    ),
    QuestionKind.SAME_IMAGE: KindOfQuestion(
        Text("Two cases have the same image, voxel for voxel."),
        (
            Choice("keep", Text("Keep both"), Text("keeps both cases")),
            LEAVE_OUT,
        ),
    ),
    QuestionKind.PLANE: KindOfQuestion(
        Text("Some volumes have their best resolution in a different anatomical plane from most."),
        (
            Choice("axial", Text("Axial slices"), Text("slices every volume axially")),
            Choice("coronal", Text("Coronal slices"), Text("slices every volume coronally")),
            Choice("sagittal", Text("Sagittal slices"), Text("slices every volume sagittally")),
        ),
    ),
    QuestionKind.SLICE_ORDER: KindOfQuestion(
        Text("The direction cosines do not show at which end a volume begins."),
        (
            Choice(
                "as-stored", Text("As they are stored"), Text("keeps the slices in their order")
            ),
            Choice(
                "reversed", Text("In reverse order"), Text("reverses the order for the network")
            ),
        ),
    ),
    QuestionKind.SPARSE: KindOfQuestion(
        Text(
            "A segmentation is empty on slices where its structures should be: it was drawn "
            "on every n-th slice, or on a range of slices."
        ),
        (
            Choice(
                "drawn",
                Text("Only the drawn slices"),
                Text(
                    "learns from the drawn slices alone; the others are unlabelled and get "
                    "proposals"
                ),
            ),
            Choice(
                "all",
                Text("All slices"),
                Text("counts the slices that were not drawn as background"),
            ),
            LEAVE_OUT,
        ),
    ),
    QuestionKind.VANISHING: KindOfQuestion(
        Text("A structure has hardly any voxels left at the network's pixel size."),
        (Choice("train", Text("Train anyway"), Text("trains with what is left of it")),),
    ),
    QuestionKind.MEMORY: KindOfQuestion(
        Text("A round is estimated to need more memory than is free."),
        (
            Choice("train", Text("Train anyway"), Text("trains, although memory may run out")),
            Choice(
                "smaller",
                Text("Smaller batches"),
                Text("halves the slices of a training step, where these need the most"),
            ),
        ),
    ),
}
