"""The command "review": the proposals with their fingerprints, and verdicts on what was listed."""

import argparse
import re
from dataclasses import dataclass
from pathlib import Path

from PseudoLabelCLLib.command_line.console import Console, for_shell
from PseudoLabelCLLib.command_line.listed_proposals import (
    SHORT_FINGERPRINT,
    ListedProposal,
    listed_proposals,
    named_proposals,
)
from PseudoLabelCLLib.command_line.project_commands import opened_for_review, status_of
from PseudoLabelCLLib.curation.review.plan_round import plan_next_round
from PseudoLabelCLLib.curation.review.proposals import (
    newest_proposal,
    proposals_so_far,
    require_proposal,
)
from PseudoLabelCLLib.curation.review.review_cases import accept, correct, reject, review_queue
from PseudoLabelCLLib.domain.errors import ReviewError
from PseudoLabelCLLib.domain.project import Project
from PseudoLabelCLLib.domain.question import Asking, GivenAnswer
from PseudoLabelCLLib.domain.review import ProposalIdentity, Review, TruthExtent, Verdict
from PseudoLabelCLLib.domain.round import RoundState
from PseudoLabelCLLib.domain.segmentation import LabelSchema
from PseudoLabelCLLib.domain.text import Text
from PseudoLabelCLLib.messages.json_codec import JsonValue, to_json
from PseudoLabelCLLib.storage.project.project_store import load_project

_SLICE_LIST = re.compile("([0-9]{1,9})(?:-([0-9]{1,9}))?")
EXTENTS = {
    "slices": TruthExtent.CHANGED_SLICES,
    "voxels": TruthExtent.CHANGED_VOXELS,
    "all": TruthExtent.WHOLE,
}


@dataclass(frozen=True)
class _Judgement:
    """What is said of the proposals.

    Args:
        verdict: Of all of them.
        file: What corrects the only one.
        slices: Indices of the slices of it that count, if they are named.
        extent: What of it counts otherwise.
        left_out: Label values of structures that are rejected.
        answers: To questions about the file.
    """

    verdict: Verdict
    file: Path | None = None
    slices: tuple[int, ...] | None = None
    extent: TruthExtent = TruthExtent.CHANGED_SLICES
    left_out: tuple[int, ...] = ()
    answers: tuple[GivenAnswer, ...] = ()


@dataclass(frozen=True)
class _Verdicts:
    """What is to be judged.

    Args:
        proposals: Which proposals.
        num_unseen: How many of them were taken from a listing.
    """

    proposals: tuple[ProposalIdentity, ...]
    num_unseen: int


def review(arguments: argparse.Namespace, console: Console) -> JsonValue:
    """List the proposals, or judge some of them."""
    root = Path(arguments.project)
    if not (arguments.accept or arguments.reject or arguments.correct):
        _check_listing(arguments)
        return _list_queue(root, load_project(root), console)
    _check_verdict(arguments)
    with opened_for_review(root) as before:
        project = before
        case_ids = tuple(dict.fromkeys(project.case(name).id for name in arguments.cases))
        judgement = _judgement_of(project, case_ids, arguments)
        verdicts = _to_judge(root, project, case_ids, arguments, console)
        for proposal in verdicts.proposals:
            require_proposal(root, project, proposal)
        for proposal in verdicts.proposals:
            project = _judge(root, project, proposal, judgement)
            judged = project.reviews_of(proposal.case_id)[-1]
            console.say(f"{proposal.case_id}: {_told(judged, project.schema)}")
    _say_unseen(verdicts, console)
    console.say(_review_progress(root, project))
    told = status_of(root, project)
    return {
        **told,
        "judged": len(verdicts.proposals),
        "not_looked_at": verdicts.num_unseen,
    }


def _to_judge(
    root: Path,
    project: Project,
    case_ids: tuple[str, ...],
    arguments: argparse.Namespace,
    console: Console,
) -> _Verdicts:
    """Return the proposals that a person names: each by its fingerprint, by a listing, or asked."""
    if arguments.listing:
        return _Verdicts(listed_proposals(Path(arguments.listing), case_ids), len(case_ids))
    if arguments.proposal:
        return _Verdicts(named_proposals(root, project, case_ids, arguments.proposal), 0)
    if len(case_ids) == 1:
        return _Verdicts((_asked(root, project, case_ids[0], console),), 0)
    raise ReviewError(
        Text("Several cases are named, but not which of their proposals you mean."),
        Text(
            "Add --proposal ROUND:FINGERPRINT for each, as 'review' lists them, or "
            "--listing FILE with what 'review PROJECT --json' printed."
        ),
    )


def _asked(root: Path, project: Project, case_id: str, console: Console) -> ProposalIdentity:
    """Return the newest proposal of a case if the person at the terminal says that it is meant."""
    newest = newest_proposal(root, project, case_id)
    item = next(item for item in review_queue(root, project) if item.case_id == case_id)
    answer = console.ask(
        f"{case_id}: round {newest.round_index}, fingerprint "
        f"{newest.fingerprint[:SHORT_FINGERPRINT]}, "
        f"doubt {item.doubt:.2f}. {item.reason}\nIs this the proposal that you saw?"
    )
    if answer is None:
        raise ReviewError(
            Text(
                "It is not clear which proposal of '{case}' you saw, and there is no "
                "terminal to ask at.",
                case=case_id,
            ),
            Text("Add --proposal ROUND:FINGERPRINT as 'review' lists it."),
        )
    if not answer:
        raise ReviewError(
            Text("No verdict was saved."),
            Text("Look at the newest proposal, then give your verdict."),
        )
    return newest


def _say_unseen(verdicts: _Verdicts, console: Console) -> None:
    number, total = verdicts.num_unseen, len(verdicts.proposals)
    if number:
        was = "was" if number == 1 else "were"
        console.warn(
            f"{number} of {total} proposal{'' if total == 1 else 's'} {was} judged from the "
            "listing, without being opened individually."
        )


def _check_listing(arguments: argparse.Namespace) -> None:
    if arguments.cases:
        raise ReviewError(
            Text("No verdict is given for {cases}.", cases=", ".join(arguments.cases)),
            Text("Add --accept, --reject or --correct FILE."),
        )
    if arguments.leave_out:
        raise ReviewError(
            Text("Structures to leave out are given, but no case."),
            Text("Name the case, and add --accept or --correct FILE."),
        )


def _check_verdict(arguments: argparse.Namespace) -> None:
    if not arguments.cases:
        raise ReviewError(Text("No case was given."), Text("Name the cases before the option."))
    if arguments.correct and len(arguments.cases) != 1:
        raise ReviewError(
            Text("One file can correct only one case."), Text("Correct the cases one by one.")
        )
    if not arguments.correct and (arguments.slices or arguments.whole or arguments.extent):
        raise ReviewError(
            Text("--slices, --extent and --whole apply only to a correction."),
            Text("Add --correct FILE, or leave out --slices, --extent and --whole."),
        )
    if arguments.reject and arguments.leave_out:
        raise ReviewError(
            Text("A rejected proposal is left out as a whole."),
            Text("Use --accept or --correct with --leave-out, or --reject without it."),
        )
    if arguments.proposal and arguments.listing:
        raise ReviewError(
            Text("The proposals are named both with --proposal and with --listing."),
            Text("Use one of the two."),
        )


def _judgement_of(
    project: Project, case_ids: tuple[str, ...], arguments: argparse.Namespace
) -> _Judgement:
    left_out = _values_of(arguments.leave_out, project.schema)
    if arguments.reject:
        return _Judgement(Verdict.REJECTED)
    if arguments.accept:
        return _Judgement(Verdict.ACCEPTED, left_out=left_out)
    slices = None
    if arguments.slices is not None:
        case_id = case_ids[0]
        slices = _parse_slices(arguments.slices, case_id, project.num_slices_of(case_id))
    return _Judgement(
        Verdict.CORRECTED,
        Path(arguments.correct),
        slices,
        _extent_of(arguments),
        left_out,
        tuple(arguments.answers),
    )


def _judge(
    root: Path, project: Project, proposal: ProposalIdentity, judgement: _Judgement
) -> Project:
    if judgement.verdict is Verdict.REJECTED:
        return reject(root, project, proposal)
    if judgement.file is None:
        return accept(root, project, proposal, left_out=judgement.left_out)
    return correct(
        root,
        project,
        proposal,
        judgement.file,
        slices=judgement.slices,
        extent=judgement.extent,
        left_out=judgement.left_out,
        asking=Asking(proposal.case_id, judgement.answers),
    )


def _extent_of(arguments: argparse.Namespace) -> TruthExtent:
    if arguments.whole and arguments.extent not in (None, "all"):
        raise ReviewError(
            Text(
                "--whole says that all slices count, --extent {extent} that they do not.",
                extent=arguments.extent,
            ),
            Text("Use one of the two."),
        )
    return EXTENTS["all" if arguments.whole else arguments.extent or "slices"]


def _values_of(names: list[str], schema: LabelSchema) -> tuple[int, ...]:
    """Label values of structures by name, upper and lower case alike."""
    known = {label.name.casefold(): label.value for label in schema}
    unknown = [name for name in names if name.casefold() not in known]
    if unknown:
        raise ReviewError(
            Text("The project has no structure '{unknown}' to leave out.", unknown=unknown[0]),
            Text("Its structures are {names}.", names=", ".join(schema.names)),
        )
    return tuple(known[name.casefold()] for name in names)


def _told(review: Review, schema: LabelSchema) -> str:
    names = ", ".join(label.name for label in schema if label.value in review.left_out)
    words = review.verdict.value
    if review.truth_mask is not None:
        words += f", {TruthExtent.CHANGED_VOXELS.value} only"
    elif review.truth_slices is not None:
        number = len(review.truth_slices)
        words += f", {number} slice{'' if number == 1 else 's'}"
    return f"{words} without {names}" if names else words


def _parse_slices(text: str, case_id: str, num_slices: int) -> tuple[int, ...]:
    """Indices from 0 for a person's list from 1, such as "3-7,9"."""
    indices: list[int] = []
    for part in text.replace(" ", "").split(","):
        match = _SLICE_LIST.fullmatch(part)
        if not match:
            raise ReviewError(
                Text("'{text}' is not a valid list of slices.", text=text[:60]),
                Text("Write it like 3-7,9."),
            )
        first, last = int(match[1]), int(match[2] or match[1])
        if not 1 <= first <= last:
            raise ReviewError(
                Text("'{part}' is not a valid range of slices.", part=part),
                Text("Slices are counted from 1, as in 3-7."),
            )
        if last > num_slices:
            raise ReviewError(
                Text(
                    "Case '{case}' has no slice {last}; its slices are 1 to {num_slices}.",
                    case=case_id,
                    last=last,
                    num_slices=num_slices,
                ),
                Text("Choose among these slices."),
            )
        indices += range(first - 1, last)
    return tuple(sorted(set(indices)))


def _listed(root: Path, project: Project) -> list[ListedProposal]:
    """Return the proposals of the round in review, most doubtful first."""
    listed = []
    for item in review_queue(root, project):
        identity = newest_proposal(root, project, item.case_id)
        listed.append(
            ListedProposal(
                item.case_id,
                identity.round_index,
                identity.fingerprint,
                item.doubt,
                item.reason,
                item.verdict,
                item.left_out,
            )
        )
    return listed


def _list_queue(root: Path, project: Project, console: Console) -> JsonValue:
    listed = _listed(root, project)
    if not listed:
        latest = project.latest_round
        waiting = latest is None or latest.state is not RoundState.IN_REVIEW
        console.say(
            f"There is nothing to review yet. Next: pseudolabelcl train {for_shell(root)}"
            if waiting
            else "Every case has a person's segmentation; nothing is left to review."
        )
        return []
    verdicts = {r.case_id: r for r in project.reviews if r.round_index == listed[0].round_index}
    console.table(
        ("case", "proposal", "doubt", "verdict", "why"),
        [
            (
                item.case_id,
                f"{item.round_index}:{item.fingerprint[:SHORT_FINGERPRINT]}",
                f"{item.doubt:.2f}",
                _told(verdicts[item.case_id], project.schema) if item.case_id in verdicts else "-",
                item.reason,
            )
            for item in listed
        ],
    )
    console.say(_review_progress(root, project))
    return [to_json(item) for item in listed]


def _review_progress(root: Path, project: Project) -> str:
    queue = review_queue(root, project)
    judged = sum(item.verdict is not None for item in queue)
    told = f"{judged} of {len(queue)} reviewed."
    so_far = proposals_so_far(root, project)
    if so_far is not None:
        return f"{so_far.sentence} {told}"
    return f"{told} {plan_next_round(project).sentence}"
