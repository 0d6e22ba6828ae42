"""Which proposal is in review, and whether it is the one that a person looked at."""

import hashlib
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from PseudoLabelCLLib.domain.case import Case
from PseudoLabelCLLib.domain.errors import ReviewError
from PseudoLabelCLLib.domain.project import Project
from PseudoLabelCLLib.domain.review import ProposalIdentity
from PseudoLabelCLLib.domain.round import Round, RoundState
from PseudoLabelCLLib.domain.text import Text, counted
from PseudoLabelCLLib.storage.files.atomic_files import storage_error
from PseudoLabelCLLib.storage.project.project_layout import ProjectLayout

_Stamp: TypeAlias = tuple[int, int, int]
_SHOW_AGAIN = Text("Show the case again.")


@dataclass
class ProposalFingerprints:
    """Fingerprints of proposals, each made once while its file does not change.

    Args:
        known: By path, what the file's status was and the fingerprint.
    """

    known: dict[Path, tuple[_Stamp, str]] = field(default_factory=dict)

    def of(self, path: Path) -> str:
        """Return the SHA-256 of a file, hexadecimal.

        Raises:
            StorageError: It cannot be read.
        """
        try:
            status = path.stat()
            stamp = (status.st_mtime_ns, status.st_ino, status.st_size)
            kept = self.known.get(path)
            if kept is None or kept[0] != stamp:
                kept = (stamp, _sha256(path.read_bytes()))
                self.known[path] = kept
        except OSError as error:
            raise storage_error(path, error, action="read") from error
        return kept[1]


@dataclass(frozen=True)
class JudgedProposal:
    """The proposal that a verdict is on.

    Args:
        case: The case.
        round_index: The round in review.
        file: A copy of its own with the very bytes that the person looked at.
    """

    case: Case
    round_index: int
    file: Path


@dataclass(frozen=True)
class ProposalsSoFar:
    """How many of its proposals a round has made.

    Args:
        num_there: Those that can be judged.
        num_all: Those that it will have made in the end.
    """

    num_there: int
    num_all: int

    @property
    def sentence(self) -> Text:
        """The same for a person."""
        return counted(
            self.num_there,
            "{count} of {total} proposals is there; the order is provisional until all are.",
            "{count} of {total} proposals are there; the order is provisional until all are.",
            total=self.num_all,
        )


def proposals_so_far(root: Path, project: Project) -> ProposalsSoFar | None:
    """Return how many proposals the newest round has made; None once it has made all of them."""
    latest = project.latest_round
    if latest is None or latest.state is not RoundState.PSEUDO_LABELLING:
        return None
    there = {case.id for case in proposed_cases(root, project)}
    expected = {case.id for case in project.cases_to_propose(latest.index)}
    return ProposalsSoFar(len(there), len(there | expected))


def proposed_cases(root: Path, project: Project) -> tuple[Case, ...]:
    """Return the cases whose proposal can be judged now, in the project's order."""
    latest = project.latest_round
    if latest is None or not latest.state.is_open_to_review:
        return ()
    layout = ProjectLayout(root)
    cases = (case for case in project.cases if case.gets_proposals)
    return tuple(case for case in cases if is_proposed(layout, latest, case.id))


def cases_awaiting_review(root: Path, project: Project) -> tuple[Case, ...]:
    """Return the cases whose proposal can be judged now and has no verdict yet."""
    latest = project.latest_round
    if latest is None or latest.state is not RoundState.PSEUDO_LABELLING:
        return project.cases_awaiting_review()
    judged = {r.case_id for r in project.reviews if r.round_index == latest.index}
    return tuple(case for case in proposed_cases(root, project) if case.id not in judged)


def is_proposed(layout: ProjectLayout, round_: Round, case_id: str) -> bool:
    """Return whether a round has made its proposal for a case, and it is whole.

    Of what is written of a proposal, its doubt comes last.
    """
    is_there = layout.proposal(round_.index, case_id).exists()
    if round_.state is RoundState.PSEUDO_LABELLING:
        return is_there and layout.doubt(round_.index, case_id).exists()
    return is_there


def newest_proposal(
    root: Path, project: Project, case_id: str, fingerprints: ProposalFingerprints | None = None
) -> ProposalIdentity:
    """Return what a verdict on a case must name now.

    Args:
        root: The project folder.
        project: The project as it is now.
        case_id: The case.
        fingerprints: What is known of unchanged files.

    Raises:
        ProjectError: There is no such case.
        ReviewError: No round is in review, or it has no proposal for the case.
        StorageError: The proposal cannot be read.
    """
    case, round_, file = _find(root, project, case_id)
    fingerprint = (fingerprints or ProposalFingerprints()).of(file)
    return ProposalIdentity(case.id, round_.index, fingerprint)


def require_proposal(root: Path, project: Project, identity: ProposalIdentity) -> None:
    """Refuse a verdict on anything but the newest proposal of a case in the round in review.

    Raises:
        ProjectError: There is no such case.
        ReviewError: No round is in review, it has no proposal for the case, or another one than the
            person looked at.
        StorageError: The proposal cannot be read.
    """
    _bytes_of(root, project, identity)


@contextmanager
def judged_proposal(
    root: Path, project: Project, identity: ProposalIdentity
) -> Iterator[JudgedProposal]:
    """Give the proposal that a verdict is on, checked, as a copy that nobody else can change.

    What is read from the copy or stored from it is what the fingerprint was made of.

    Raises:
        ProjectError: There is no such case.
        ReviewError: As for `require_proposal`.
        StorageError: The proposal cannot be read, or the disk refuses.
    """
    case, round_, content = _bytes_of(root, project, identity)
    name = ProjectLayout(root).proposal(round_.index, case.id).name
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / name
        try:
            copy.write_bytes(content)
        except OSError as error:
            raise storage_error(copy, error) from error
        yield JudgedProposal(case, round_.index, copy)


def _bytes_of(
    root: Path, project: Project, identity: ProposalIdentity
) -> tuple[Case, Round, bytes]:
    _require_round(project, identity)
    case, round_, file = _find(root, project, identity.case_id)
    try:
        content = file.read_bytes()
    except OSError as error:
        raise storage_error(file, error, action="read") from error
    if _sha256(content) != identity.fingerprint:
        raise ReviewError(
            Text(
                "The proposal of '{case}' in round {index} is not the one shown here: its "
                "file has changed since.",
                case=case.id,
                index=round_.index,
            ),
            _SHOW_AGAIN,
        )
    return case, round_, content


def _require_round(project: Project, identity: ProposalIdentity) -> None:
    latest = project.latest_round
    if latest is None or not latest.state.is_open_to_review:
        return  # the search for the proposal says so
    shown: dict[str, object] = {
        "case": identity.case_id,
        "shown": identity.round_index,
        "index": latest.index,
    }
    if identity.round_index < latest.index:
        raise ReviewError(
            Text(
                "The proposal of '{case}' shown here is round {shown}'s; round {index} has made a "
                "new proposal.",
                **shown,
            ),
            _SHOW_AGAIN,
        )
    if identity.round_index > latest.index:
        raise ReviewError(
            Text(
                "The proposal of '{case}' shown here is round {shown}'s; the project is back at "
                "round {index}.",
                **shown,
            ),
            _SHOW_AGAIN,
        )


def require_open(round_: Round) -> None:
    """Refuse a verdict on a round that has no proposals yet, or that the next one has closed.

    Raises:
        ReviewError: It is such a round.
    """
    if not round_.state.is_open_to_review:
        raise ReviewError(
            Text(
                "Round {index} is '{state}', not in review.",
                index=round_.index,
                state=round_.state.word,
            ),
            Text("Wait until the next proposals are there.")
            if round_.state is RoundState.CLOSED
            else Text("Wait until its proposals are ready."),
        )


def _find(root: Path, project: Project, case_id: str) -> tuple[Case, Round, Path]:
    """Return a case, the round in review, and where its proposal for the case lies."""
    latest = project.latest_round
    if latest is None:
        raise ReviewError(Text("There is no round to review yet."), Text("Train round 0 first."))
    require_open(latest)
    case = project.case(case_id)
    layout = ProjectLayout(root)
    if not case.gets_proposals or not is_proposed(layout, latest, case.id):
        so_far = proposals_so_far(root, project)
        if so_far is not None and case in project.cases_to_propose(latest.index):
            raise ReviewError(
                Text(
                    "The proposal of round {index} for case '{case}' is not there yet: the round "
                    "has made {there} of {all}.",
                    index=latest.index,
                    case=case.id,
                    there=so_far.num_there,
                    all=so_far.num_all,
                ),
                Text("Wait until it is there, or choose another case."),
            )
        raise ReviewError(
            Text(
                "Round {index} has no proposal for case '{case}' ({role}).",
                index=latest.index,
                case=case.id,
                role=case.role.word,
            ),
            Text("Choose a case from the review list."),
        )
    return case, latest, layout.proposal(latest.index, case.id)


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
