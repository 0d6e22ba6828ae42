"""Proposals as the command line lists and names them: round and fingerprint."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PseudoLabelCLLib.curation.review.proposals import newest_proposal, require_proposal
from PseudoLabelCLLib.domain.errors import PseudoLabelCLError, ReviewError
from PseudoLabelCLLib.domain.project import Project
from PseudoLabelCLLib.domain.review import ProposalIdentity, Verdict
from PseudoLabelCLLib.domain.text import Text
from PseudoLabelCLLib.messages.json_codec import from_json
from PseudoLabelCLLib.storage.files.atomic_files import read_json

# Digits of a fingerprint in a table; the chance that two of a project share them is nil.
SHORT_FINGERPRINT = 12
_NAMED = re.compile(r"([0-9]{1,6}):([0-9a-f]{8,64})")


@dataclass(frozen=True)
class ListedProposal:
    """One line of a listing.

    Args:
        case_id: The case.
        round_index: The round that proposed it.
        fingerprint: Of the proposal (SHA-256, hexadecimal).
        doubt: 0 (sure) to 1.
        reason: Why to look, in one sentence.
        verdict: The verdict that stands, or None.
        left_out: Label values of structures that this verdict rejects.
    """

    case_id: str
    round_index: int
    fingerprint: str
    doubt: float
    reason: str
    verdict: Verdict | None
    left_out: tuple[int, ...] = ()


def named_proposals(
    root: Path, project: Project, case_ids: Sequence[str], names: Sequence[str]
) -> tuple[ProposalIdentity, ...]:
    """Return the proposals that a person names as ROUND:FINGERPRINT, one for each case.

    Args:
        root: The project folder.
        project: The project as it is now.
        case_ids: The cases.
        names: Round and the first digits of the fingerprint, in the order of the cases.

    Raises:
        ReviewError: A name is unreadable, missing, or another one than the newest proposal's.
    """
    if len(names) != len(case_ids):
        raise ReviewError(
            Text(
                "The number of cases ({count}) differs from the number of --proposal values "
                "({values}).",
                count=len(case_ids),
                values=len(names),
            ),
            Text("Give one ROUND:FINGERPRINT for each case, in the same order."),
        )
    return tuple(
        _named(root, project, case_id, name) for case_id, name in zip(case_ids, names, strict=True)
    )


def listed_proposals(file: Path, case_ids: Sequence[str]) -> tuple[ProposalIdentity, ...]:
    """Return the proposals of some cases as a listing has them.

    Args:
        file: What `review --json` printed.
        case_ids: The cases.

    Raises:
        ReviewError: It is not such a listing, or a case is not on it.
        StorageError: It cannot be read.
    """
    value = read_json(file)
    try:
        lines = from_json(tuple[ListedProposal, ...], value, file.name)
    except PseudoLabelCLError as error:
        raise ReviewError(
            Text(
                "'{file}' is not a valid list of proposals: {reason}",
                file=file,
                reason=error.message,
            ),
            Text("Make one with: pseudolabelcl review PROJECT --json > FILE"),
        ) from error
    by_case = {line.case_id: line for line in lines}
    missing = [case_id for case_id in case_ids if case_id not in by_case]
    if missing:
        raise ReviewError(
            Text(
                "The listing '{file}' has no proposal of '{missing}'.",
                file=file.name,
                missing=missing[0],
            ),
            Text("List the proposals again, or leave that case out."),
        )
    found = [by_case[case_id] for case_id in case_ids]
    return tuple(ProposalIdentity(one.case_id, one.round_index, one.fingerprint) for one in found)


def _named(root: Path, project: Project, case_id: str, name: str) -> ProposalIdentity:
    match = _NAMED.fullmatch(name.strip().lower())
    if match is None:
        raise ReviewError(
            Text("'{name}' is not a valid name of a proposal.", name=name[:60]),
            Text("Write the round and at least 8 digits of the fingerprint, such as 0:3fa4bc12."),
        )
    newest = newest_proposal(root, project, case_id)
    round_index, digits = int(match[1]), match[2]
    if newest.round_index == round_index and newest.fingerprint.startswith(digits):
        return newest
    named = ProposalIdentity(case_id, round_index, digits)
    require_proposal(root, project, named)  # says what is wrong
    return named
