"""Every finding about a file or case with its class: nothing to say, a note, or a question."""

from enum import Enum

from PseudoLabelCLLib.domain.question import LEAVE, QUESTIONS


class Note(Enum):
    """What is only worth knowing: the sentence, and why it cannot be wrong.

    A note never stands for something that a person might have meant otherwise.
    """

    CROPPED = (
        "{grids}; their voxels coincide and every label kept its place.",
        "each voxel of the one is a voxel of the other; Slicer crops so",
    )
    PLACE_OF_LABEL = (
        "{found} Its segmentation lies on the {place}, which is taken.",
        "whoever drew it saw the image there",
    )
    BOTH_PLACES = (
        "{found} Its segmentation has the same two, and is taken voxel for voxel.",
        "array shape and both matrices are those of the image",
    )
    OTHER_PLACE = (
        "'{file}' lies on the other place that the header of its image names; it was taken voxel "
        "for voxel.",
        "array shape and matrix are those of the image for the program that wrote it",
    )
    RESAMPLED = (
        "{grids} and was resampled by position: {between} lay between its voxels.",
        "said after the question 'other-grid' was answered so",
    )
    LOST = (
        "{found} and {verb} lost.",
        "said after the question 'outside' was answered so",
    )
    BY_TERM = (
        "In '{file}', the segment '{segment}' counts as '{label}'.",
        "its term is that of the label, or a person was asked",
    )
    EMPTY_SEGMENT = (
        "In '{file}', the empty segment '{segment}' is not a label; it was left out.",
        "it has no voxel",
    )
    NO_VOXEL_OF = ("In '{file}', no voxel belongs to: {segments}.", "counted in the file")
    OVERLAPPED = (
        "{found}, which {verb} as '{label}'.",
        "said after the question 'overlap' was answered so",
    )
    UNCLAIMED = (
        "{found} and {verb} left out.",
        "said after the question 'no-segment' was answered so",
    )
    NO_FRAME = (
        "'{file}' was placed by its positions alone: of '{image}' no frame of reference is known.",
        "its voxels coincide with those of the image; anything else is asked or refused",
    )
    OTHER_SERIES = (
        "'{file}' was made on another series of the same frame of reference; it was placed by its "
        "positions.",
        "in one frame of reference, equal positions are equal places",
    )
    FRAME = (
        "Number {number} of the {all} volumes in '{file}' is taken; the project keeps a copy.",
        "said after the question 'frames' was answered so",
    )
    NOW_ANNOTATED = (
        "It is the case '{case}' of the project, which is annotated now.",
        "known by its path, or by its name and every voxel",
    )
    NOT_EXPORTABLE = (
        "Case '{case}' cannot be exported as a DICOM segmentation. {reason}",
        "tried when it is added; everything else works",
    )
    NO_UNLABELLED = (
        "The project has no unlabelled case; joint rounds have nothing to add.",
        "counted",
    )
    STRUCTURE_MISSING = ("Case '{case}' has no voxel of '{label}'.", "counted")
    FEW_SLICES = (
        "Case '{case}' is segmented on {found} of its {slices}; the others count as background.",
        "counted",
    )
    UNLIKE_OTHERS = (
        "The {figure} of case '{case}' is {value}; the other cases have about {typical}.",
        "measured; nothing is changed",
    )
    MIXED = (
        "The {figure} goes from {least} to {most} over the cases; {odd} of {all} are far from the "
        "middle ({named}, ...).",
        "measured; nothing is changed",
    )
    OTHER_PLANE = (
        "{cases}: stored in slices of another plane; all volumes are cut into {plane} slices.",
        "these volumes resolve that plane as well; no voxel is changed",
    )
    STRETCHED = (
        "{cases}: cut into {plane} slices as all volumes are, with stretched pixels of {pixels}.",
        "the plane was chosen by a person, or settled by round 0",
    )
    ORDER_BY_HEADER = (
        "Whether the slices of {cases} begin where those of the others do is told by their headers "
        "alone; their contents do not clearly agree.",
        "the direction cosines decide; contents alone turn nothing",
    )
    EMPTY_IN_OBJECT = (
        "Case '{case}': '{label}' has no voxel; it is described, without a slice.",
        "counted; the object says so",
    )
    TURNED = (
        "The slices of {cases} are stored turned or mirrored against those of most cases; the "
        "network sees them turned, as the header tells.",
        "turning by right angles is exact, and undone in every result",
    )

    CT_NOT_EVENED_OUT = (
        "N4 is not applied to {cases}: CT has no coil shading.",
        "told from the DICOM headers, or from the values of fat and air",
    )

    def say(self, **words: object) -> str:
        """Return the sentence with its words filled in."""
        return self.value[0].format(**words)

    @property
    def reason(self) -> str:
        """Why it cannot be wrong."""
        return self.value[1]


# What stops a DICOM export until it is answered there, with the flag or button of that page.
EXPORT_QUESTIONS = (
    (
        "Voxels of a segmentation have no place on the grid of its series, or would change.",
        "`--accept-losses`, *Accept...*: exports what has a place",
    ),
    (
        "A label has no codes that say what it is.",
        "`terms PROJECT LABEL=WORDS`, *Choose...*: gives it a term",
    ),
    (
        "A case did not come from DICOM.",
        "`--with-volume`, *Choose...*: writes its volume as a series first",
    ),
    (
        "The series of a case lies elsewhere now.",
        "`--source DIR`, *Look in...*: looks below a folder",
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
        "Segments in another order, or numbered otherwise, than the labels",
        "names and terms decide, never numbers",
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
    lines.append(f"\nThe answer `{LEAVE}` leaves the case out and goes on with the others.")
    return "\n".join(lines)
