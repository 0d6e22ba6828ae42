"""Every finding about a file or case with its class: nothing to say, a note, or a question."""

from enum import Enum

from PseudoLabelCLLib.domain.question_kinds import LEAVE, QUESTIONS
from PseudoLabelCLLib.domain.text import Text, pattern


class Note(Enum):
    """What is only worth knowing: the sentence, and why it cannot be wrong.

    A note never stands for something that a person might have meant otherwise.
    """

    CROPPED = (
        pattern("{grids}; their voxels coincide, and every labelled voxel kept its position."),
        "every voxel of one is a voxel of the other, as after cropping in Slicer",
    )
    CHANNEL_RESAMPLED = (
        pattern(
            "The {channel} image of case '{case}' has a different grid ({grid1}) from its {first} "
            "image ({grid2}); the network sees it resampled onto that grid by position."
        ),
        "both lie in the coordinates of one patient, and its own file stays as it is",
    )
    CHANNEL_COVERS_PART = (
        pattern(
            "The {channel} image of case '{case}' ({grid1}) covers {percent} % of its {first} "
            "image ({grid2}); the network sees it resampled onto that grid by position, and its "
            "lowest value where it has no voxels."
        ),
        "measured; an image that covers nothing is refused",
    )
    CHANNEL_MISSING = (
        pattern("Case '{case}' has no {missing} image yet; it needs one before training."),
        "counted; training is refused until every case has it",
    )
    PLACE_OF_LABEL = (
        pattern("{found} Its segmentation lies on the {place}, which is used."),
        "the person who drew it saw the image there",
    )
    BOTH_PLACES = (
        pattern("{found} Its segmentation has the same two, and is used voxel for voxel."),
        "array shape and both matrices are those of the image",
    )
    OTHER_PLACE = (
        pattern(
            "'{file}' lies at the other position that the header of its image gives; it was used "
            "voxel for voxel."
        ),
        "array shape and matrix are those of the image as the program that wrote it reads them",
    )
    RESAMPLED = (
        pattern("{grids} and was resampled by position: {between} lay between its voxels."),
        "follows from the answer to the question 'other-grid'",
    )
    LOST = (
        pattern("{found} and {verb} lost."),
        "follows from the answer to the question 'outside'",
    )
    BY_TERM = (
        pattern("In '{file}', the segment '{segment}' counts as '{label}'."),
        "it has the terminology of that structure, or a person was asked",
    )
    EMPTY_SEGMENT = (
        pattern(
            "In '{file}', the empty segment '{segment}' is not a structure of the project; it was "
            "left out."
        ),
        "it has no voxels",
    )
    NO_VOXEL_OF = (pattern("In '{file}', no voxel belongs to: {segments}."), "counted in the file")
    OVERLAPPED = (
        pattern("{found}, which {verb} as '{label}'."),
        "follows from the answer to the question 'overlap'",
    )
    UNCLAIMED = (
        pattern("{found} and {verb} left out."),
        "follows from the answer to the question 'no-segment'",
    )
    NO_FRAME = (
        pattern(
            "'{file}' was placed by its positions alone: the frame of reference of '{image}' is "
            "not known."
        ),
        "its voxels coincide with those of the image; anything else is asked or refused",
    )
    OTHER_SERIES = (
        pattern(
            "'{file}' was made on another series with the same frame of reference; it was placed "
            "by its positions."
        ),
        "in one frame of reference, equal positions are equal places",
    )
    FRAME = (
        pattern("Volume {number} of the {all} in '{file}' is used; the project keeps a copy."),
        "follows from the answer to the question 'frames'",
    )
    FRAME_SEGMENTED = (
        "Volume {number} of the {all} in '{file}' is segmented.",
        "follows from the answer to the question 'frames'",
    )
    NOW_ANNOTATED = (
        pattern("It is case '{case}' of the project, which is now annotated."),
        "known by its path, or by its name and every voxel",
    )
    NOT_EXPORTABLE = (
        pattern("Case '{case}' cannot be exported as a DICOM segmentation. {reason}"),
        "tried when it is added; everything else works",
    )
    NO_UNLABELLED = (
        pattern("The project has no unlabelled case; joint rounds have nothing to add."),
        "counted",
    )
    STRUCTURE_MISSING = (pattern("Case '{case}' has no voxels of '{label}'."), "counted")
    FEW_SLICES = (
        pattern(
            "Case '{case}' is segmented on {found} of its {slices}; the others count as background."
        ),
        "counted",
    )
    UNLIKE_OTHERS = (
        pattern("The {figure} of case '{case}' is {value}; the other cases have about {typical}."),
        "measured; nothing is changed",
    )
    MIXED = (
        pattern(
            "The {figure} ranges from {least} to {most} across the cases; {odd} of {all} are far "
            "from the median ({named}, ...)."
        ),
        "measured; nothing is changed",
    )
    OTHER_PLANE = (
        pattern(
            "{cases}: stored in slices of another plane; all volumes are cut into {plane} slices."
        ),
        "these volumes resolve that plane as well; no voxel is changed",
    )
    STRETCHED = (
        pattern(
            "{cases}: cut into {plane} slices as all volumes are, with stretched pixels of "
            "{pixels}."
        ),
        "the plane was chosen by a person, or settled by round 0",
    )
    ORDER_BY_HEADER = (
        pattern(
            "Only the headers say at which end the slices of {cases} begin; their contents do not "
            "clearly confirm it."
        ),
        "the direction cosines decide; contents alone turn nothing",
    )
    EMPTY_IN_OBJECT = (
        pattern("Case '{case}': '{label}' has no voxels; it is described, without a slice."),
        "counted; the object says so",
    )
    TURNED = (
        pattern(
            "The slices of {cases} are stored rotated or mirrored relative to those of most cases; "
            "the network sees them turned, as the header says."
        ),
        "turning by right angles is exact, and undone in every result",
    )

    CT_NOT_EVENED_OUT = (
        pattern("N4 is not applied to {cases}: CT has no coil shading."),
        "recognised by the DICOM headers, or by the values of fat and air",
    )

    def say(self, **words: object) -> Text:
        """Return the sentence with its words filled in."""
        return Text(self.value[0], **words)

    @property
    def reason(self) -> str:
        """Why it cannot be wrong."""
        return self.value[1]


# What stops a DICOM export until it is answered there, with the flag or button of that page.
EXPORT_QUESTIONS = (
    (
        "Voxels of a segmentation have no place on the grid of its series, or would change there.",
        "`--accept-losses`, *Accept...*: exports the voxels that have a place",
    ),
    (
        "A structure has no terminology codes.",
        "`terms PROJECT STRUCTURE=WORDS`, *Choose...*: gives it a terminology",
    ),
    (
        "A case did not come from DICOM.",
        "`--with-volume`, *Choose...*: writes its volume as a series first",
    ),
    (
        "The series of a case has been moved.",
        "`--source DIR`, *Look in...*: searches a folder and its subfolders",
    ),
)
# What is looked at and proved harmless, so that nothing is said.
HARMLESS = (
    (
        "A segmentation on the grid of its image",
        "every corner lies within a tenth of a voxel",
    ),
    (
        "A segmentation of the same voxels, its axes stored in another order or direction",
        "each voxel has one voxel at its place, and no other",
    ),
    (
        "Segments in a different order, or numbered differently, from the structures",
        "names and terminology decide, never numbers",
    ),
    (
        "A DICOM object without the slices on which nothing is drawn",
        "the slices left out are empty",
    ),
)


def findings_table() -> str:
    """Return all findings with their class as a table in Markdown, for the documentation."""
    lines = ["| class | finding | why, or the answers |", "| --- | --- | --- |"]
    lines += [f"| nothing | {found} | {why} |" for found, why in HARMLESS]
    lines += [f"| note | {note.value[0]} | {note.reason} |" for note in Note]
    for kind, question in QUESTIONS.items():
        ways = (f"`{kind.value}={c.value}` {c.effect}" for c in question.choices)
        lines.append(f"| question | {question.found} | {'; '.join(ways)} |")
    lines += [f"| question (export) | {found} | {ways} |" for found, ways in EXPORT_QUESTIONS]
    lines.append(f"\nThe answer `{LEAVE}` leaves the case out and continues with the others.")
    return "\n".join(lines)
