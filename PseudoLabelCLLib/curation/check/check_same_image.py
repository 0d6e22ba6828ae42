"""Which cases have the same image, voxel for voxel, as a copy under another name has."""

import hashlib
from collections.abc import Iterator, Mapping

import numpy as np

from PseudoLabelCLLib.curation.check.case_finding import Finding, asked
from PseudoLabelCLLib.domain.case import CaseRole
from PseudoLabelCLLib.domain.project import Project
from PseudoLabelCLLib.domain.question import Question
from PseudoLabelCLLib.domain.question_kinds import QuestionKind
from PseudoLabelCLLib.domain.text import Text
from PseudoLabelCLLib.domain.volume import Volume

# Of two cases with one image, the one further down is asked about.
_BY_WORTH = (CaseRole.ANNOTATED, CaseRole.VALIDATION, CaseRole.UNLABELLED)


def voxels_digest(volume: Volume) -> str:
    """Return what two images have in common only if their voxels are the same, in one order."""
    array = np.ascontiguousarray(volume.array)
    return hashlib.sha256(repr(array.shape).encode() + array.tobytes()).hexdigest()


def same_image_findings(project: Project, digests: Mapping[str, str]) -> Iterator[Finding]:
    """Ask about the cases whose image another case has, unless that was answered.

    Args:
        project: The project.
        digests: Of the images, by case.
    """
    firsts: dict[str, str] = {}
    for name in sorted(digests, key=lambda name: _BY_WORTH.index(project.case(name).role)):
        first = firsts.setdefault(digests[name], name)
        if first != name and project.case(name).answer_to(QuestionKind.SAME_IMAGE) is None:
            yield asked(_question(project, first, name))


def _question(project: Project, first: str, name: str) -> Question:
    roles = {project.case(one).role for one in (first, name)}
    names = {"case": name, "other": first}
    if CaseRole.VALIDATION in roles and len(roles) > 1:
        message = Text(
            "'{case}' and '{other}' have the same image, voxel for voxel, and one of them is a "
            "validation case: what is measured on it would be too good. If one is left out, it is "
            "'{case}'.",
            **names,
        )
    else:
        message = Text(
            "'{case}' and '{other}' have the same image, voxel for voxel, as a copy under another "
            "name has: the network would learn from it twice. If one is left out, it is '{case}'.",
            **names,
        )
    return Question(QuestionKind.SAME_IMAGE, message, case_id=name)
