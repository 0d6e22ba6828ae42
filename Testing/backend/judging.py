"""Verdicts of a person who looked at the newest proposal of a case, for tests of all else."""

from PseudoLabelCLLib.curation.review import review_cases
from PseudoLabelCLLib.curation.review.proposals import newest_proposal


def accept(root, project, case_id, **how):
    """Accept the newest proposal of a case."""
    return review_cases.accept(root, project, newest_proposal(root, project, case_id), **how)


def reject(root, project, case_id):
    """Reject the newest proposal of a case."""
    return review_cases.reject(root, project, newest_proposal(root, project, case_id))


def correct(root, project, case_id, file, **how):
    """Correct the newest proposal of a case by a file."""
    proposal = newest_proposal(root, project, case_id)
    return review_cases.correct(root, project, proposal, file, **how)


def take_back(root, project, case_id):
    """Take back the verdict on the newest proposal of a case."""
    return review_cases.take_back(root, project, newest_proposal(root, project, case_id))
