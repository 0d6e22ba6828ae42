"""Which volume is meant of a file that holds several: frames of a cine, or channels."""

from pathlib import Path

from PseudoLabelCLLib.domain.question import Asking
from PseudoLabelCLLib.domain.question_kinds import LEAVE_OUT, Choice, QuestionKind
from PseudoLabelCLLib.domain.text import Text
from PseudoLabelCLLib.storage.images.frames import Frames

EVERY_FRAME = "every"
# So many are offered one by one; a higher number can be typed on the command line.
_MOST_OFFERED = 200


def ask_about_frames(
    path: Path, frames: Frames, asking: Asking, *, one_only: bool, as_cases: bool = True
) -> list[int]:
    """Return which volumes of a file become cases, or are segmented, from 0.

    Args:
        path: The file.
        frames: What it holds.
        asking: Asks the person.
        one_only: Whether it can be only one, as with a segmentation.
        as_cases: Whether they become cases of a project; otherwise a model segments them.

    Raises:
        QuestionError: Nobody has answered yet.
        LeftOutError: None of them.
    """
    number = frames.number
    offered = range(1, min(number, _MOST_OFFERED) + 1)
    choices = [
        Choice(str(n), Text("Number {number}", number=n), Text("takes number {number}", number=n))
        for n in offered
    ]
    if not one_only and as_cases:
        choices.append(
            Choice(EVERY_FRAME, Text("Each as its own case"), Text("makes each one its own case"))
        )
    elif not one_only:
        choices.append(
            Choice(EVERY_FRAME, Text("Each by itself"), Text("segments each one by itself"))
        )
    size = " x ".join(map(str, frames.size))
    limit = Text("a case has one") if as_cases else Text("a model segments one at a time")
    answer = asking.ask(
        QuestionKind.FRAMES,
        Text(
            "'{file}' holds {count} volumes of {size} voxels (frames of a cine, or channels), and "
            "{limit}. 3D Slicer shows the first.",
            file=path.name,
            count=number,
            size=size,
            limit=limit,
        ),
        choices=(*choices, LEAVE_OUT),
        up_to=number,
    )
    return list(range(number)) if answer == EVERY_FRAME else [int(answer) - 1]
