"""Project: cases, labels, settings, rounds and reviews, and the rules over all of them."""

from dataclasses import dataclass, replace
from functools import cached_property

from PseudoLabelCLLib.domain.case import Case, CaseRole
from PseudoLabelCLLib.domain.channels import check_channels, missing_among, same_channel
from PseudoLabelCLLib.domain.config import ProjectConfig
from PseudoLabelCLLib.domain.errors import ProjectError
from PseudoLabelCLLib.domain.plane import common_plane
from PseudoLabelCLLib.domain.preprocess_config import PreprocessConfig
from PseudoLabelCLLib.domain.review import Review, Use, Verdict
from PseudoLabelCLLib.domain.round import Round, RoundState
from PseudoLabelCLLib.domain.segmentation import LabelSchema
from PseudoLabelCLLib.domain.starting_model import StartingModel
from PseudoLabelCLLib.domain.text import Text


@dataclass(frozen=True)
class Project:
    """The state of a project; changing it makes a new one.

    Args:
        name: What a person calls it.
        schema: The structures to segment.
        config: The settings.
        cases: The volumes.
        rounds: The rounds so far, round 0 first.
        reviews: Every verdict that stands, at most one for each case and round.
        channels: The names of the images that every case has, the first being the one on whose
            grid segmentations lie; empty where a case has one unnamed image.
        start: The trained model that round 0 starts from, or None: random weights.

    Raises:
        ProjectError: Two cases share a name, rounds are out of order, or a review belongs to no
            case or round, or names slices or labels that there are none of.
    """

    name: str
    schema: LabelSchema
    config: ProjectConfig
    cases: tuple[Case, ...] = ()
    rounds: tuple[Round, ...] = ()
    reviews: tuple[Review, ...] = ()
    channels: tuple[str, ...] = ()
    start: StartingModel | None = None

    def __post_init__(self) -> None:
        check_channels(self.channels)
        for case in self.cases:
            self._check_further_images(case)
        seen: set[str] = set()
        for case in self.cases:
            if case.id.casefold() in seen:
                raise ProjectError(
                    Text(
                        "Two cases are called '{case}' (upper and lower case count as the same).",
                        case=case.id,
                    ),
                    Text("Give each case its own name."),
                )
            seen.add(case.id.casefold())
        if [r.index for r in self.rounds] != list(range(len(self.rounds))):
            raise ProjectError(
                Text(
                    "The rounds are out of order: {rounds}.", rounds=[r.index for r in self.rounds]
                )
            )
        keys = [(review.case_id, review.round_index) for review in self.reviews]
        if len(keys) != len(set(keys)):
            raise ProjectError(Text("A case has two verdicts for the same round."))
        geometries = {case.id: case.geometry for case in self.cases}
        for review in self.reviews:
            if review.case_id in geometries:  # those of a case that was taken out count for nothing
                axis = self.preprocess.slicing_axis_of(geometries[review.case_id])
                self._check_review(review, geometries[review.case_id].size[axis])

    def _check_further_images(self, case: Case) -> None:
        named = [one.channel for one in case.further_images]
        further = self.channels[1:]
        for number, channel in enumerate(named):
            is_known = any(same_channel(channel, known) for known in further)
            if not is_known or any(same_channel(channel, one) for one in named[:number]):
                raise ProjectError(
                    Text(
                        "Case '{case}' has an image '{channel}' that the project has no place for "
                        "(channels: {channels}).",
                        case=case.id,
                        channel=channel,
                        channels=", ".join(self.channels) or Text("one unnamed image"),
                    ),
                    Text("Name each further channel of the project once."),
                )

    def _check_review(self, review: Review, num_slices: int) -> None:
        named: dict[str, object] = {"case": review.case_id, "index": review.round_index}
        last = max(review.truth_slices or (0,))
        if last >= num_slices:
            raise ProjectError(
                Text(
                    "The review of case '{case}' in round {index} names slice {found}; the last "
                    "one is {last}.",
                    found=last,
                    last=num_slices - 1,
                    **named,
                )
            )
        unknown = sorted(set(review.left_out) - set(self.schema.values))
        if unknown:
            told = ", ".join(map(str, unknown))
            raise ProjectError(
                Text(
                    "The review of case '{case}' in round {index} leaves out {values}, which is "
                    "not a structure of the project.",
                    values=told,
                    **named,
                )
            )
        if set(review.left_out) == set(self.schema.values):
            raise ProjectError(
                Text(
                    "The review of case '{case}' in round {index} leaves out every structure, but "
                    "does not reject it.",
                    **named,
                )
            )

    def case(self, case_id: str) -> Case:
        """Return the case with this name.

        Raises:
            ProjectError: There is none.
        """
        for case in self.cases:
            if case.id.casefold() == case_id.casefold():
                return case
        known = ", ".join(case.id for case in self.cases[:12]) or Text("none")
        more = ", ..." if self.cases[12:] else ""
        raise ProjectError(
            Text(
                "This project has no case '{case}' (cases: {cases}{more}).",
                case=case_id,
                cases=known,
                more=more,
            ),
            Text("Check the name."),
        )

    @property
    def num_channels(self) -> int:
        """How many images of a patient the network sees at once."""
        return max(1, len(self.channels))

    def missing_channels(self, case: Case) -> tuple[str, ...]:
        """Return the channels that a case lacks."""
        return missing_among(self.channels[1:], (one.channel for one in case.further_images))

    def cases_with_role(self, role: CaseRole) -> tuple[Case, ...]:
        """Return the cases with this role, in the project's order."""
        return tuple(case for case in self.cases if case.role is role)

    @cached_property
    def preprocess(self) -> PreprocessConfig:
        """The settings of the slices, with the plane in which all volumes are cut.

        Before round 0 it is the plane that most annotated and unlabelled volumes resolve best,
        unless a person chose one; later it is that of round 0. Rounds of earlier versions have
        none: there each volume keeps the axis that its reviews were made on.
        """
        settings = self.config.preprocess
        if settings.plane is not None or settings.slicing_axis is not None:
            return settings
        if self.rounds:
            return replace(settings, plane=self.rounds[0].plane)
        roles = (CaseRole.ANNOTATED, CaseRole.UNLABELLED)
        taking_part = (case.geometry for case in self.cases if case.role in roles)
        return replace(settings, plane=common_plane(taking_part))

    def with_plane_settled(self) -> "Project":
        """Return the project with its plane as a setting, as slices are counted in it from now."""
        plane = self.preprocess.plane
        if self.rounds or plane is self.config.preprocess.plane:
            return self
        preprocess = replace(self.config.preprocess, plane=plane)
        return replace(self, config=replace(self.config, preprocess=preprocess))

    def slicing_axis_of(self, case_id: str) -> int:
        """Return along which axis (0 = i, 1 = j, 2 = k) a case is cut into slices."""
        return self.preprocess.slicing_axis_of(self.case(case_id).geometry)

    def num_slices_of(self, case_id: str) -> int:
        """Return how many slices a case has along its slicing axis."""
        return self.case(case_id).geometry.size[self.slicing_axis_of(case_id)]

    @property
    def latest_round(self) -> Round | None:
        """The newest round, or None before the first training."""
        return self.rounds[-1] if self.rounds else None

    def reviews_of(self, case_id: str) -> tuple[Review, ...]:
        """Return the verdicts on a case, oldest round first."""
        own = [review for review in self.reviews if review.case_id == case_id]
        return tuple(sorted(own, key=lambda review: review.round_index))

    def truth_reviews_of(self, case_id: str) -> tuple[Review, ...]:
        """Return the accepted and corrected segmentations of a case, oldest first.

        Where two confirm the same slice, the newer one counts.
        """
        return tuple(review for review in self.reviews_of(case_id) if review.use is Use.TRUTH)

    def is_wholly_true(self, case_id: str, before: int | None = None) -> bool:
        """Return whether verdicts confirm every slice of a case, and all on it.

        Args:
            case_id: The case.
            before: Only verdicts on earlier rounds than this one count; None means all.
        """
        is_whole = False
        for review in self.truth_reviews_of(case_id):
            if before is not None and review.round_index >= before:
                continue
            if review.left_out:
                is_whole = False
            elif review.truth_slices is None:
                is_whole = True
        return is_whole

    def use_in_round(self, case_id: str, round_index: int) -> Use:
        """Tell what a case does in training round `round_index`.

        Annotated cases are truth, on the slices that were drawn where only these count. Accepted
        and corrected cases are truth from the next round on; a corrected case may be truth on some
        slices and pseudo-label on the others; structures left out of a verdict are truth nowhere. A
        rejection counts for the next round only: the round after that has a new proposal. Anything
        else unlabelled is pseudo-label from round 1 on. Validation and ignored cases do nothing.
        """
        case = self.case(case_id)
        if case.role is CaseRole.ANNOTATED:
            return Use.TRUTH
        if case.role is not CaseRole.UNLABELLED or round_index == 0:
            return Use.NOTHING
        earlier = [r for r in self.reviews_of(case_id) if r.round_index < round_index]
        if any(review.use is Use.TRUTH for review in earlier):
            return Use.TRUTH
        rejected_last = any(
            r.verdict is Verdict.REJECTED and r.round_index == round_index - 1 for r in earlier
        )
        return Use.NOTHING if rejected_last else Use.PSEUDO

    def cases_to_propose(self, round_index: int | None = None) -> tuple[Case, ...]:
        """Return the cases, unlabelled or partly drawn, that no person has wholly confirmed.

        Args:
            round_index: The round that makes proposals; verdicts on these change nothing about
                which ones it makes. None stands for the next round, for which all verdicts count.
        """
        open_ = (case for case in self.cases if case.gets_proposals)
        return tuple(case for case in open_ if not self.is_wholly_true(case.id, round_index))

    def cases_awaiting_review(self) -> tuple[Case, ...]:
        """Return the cases whose newest pseudo-label has no verdict yet."""
        latest = self.latest_round
        if latest is None or latest.state is not RoundState.IN_REVIEW:
            return ()
        judged = {r.case_id for r in self.reviews if r.round_index == latest.index}
        proposed = self.cases_to_propose(latest.index)
        return tuple(case for case in proposed if case.id not in judged)

    def with_case(self, case: Case) -> "Project":
        """Return the project with a case added, or replaced if its name is known."""
        if any(known.id == case.id for known in self.cases):
            return replace(self, cases=tuple(case if k.id == case.id else k for k in self.cases))
        return replace(self, cases=(*self.cases, case))

    def with_round(self, new: Round) -> "Project":
        """Return the project with a round added, or replaced if its index is known."""
        kept = tuple(known for known in self.rounds if known.index < new.index)
        later = tuple(known for known in self.rounds if known.index > new.index)
        return replace(self, rounds=(*kept, new, *later))

    def with_review(self, review: Review) -> "Project":
        """Return the project with a verdict added; it replaces one on the same proposal."""
        kept = tuple(
            known
            for known in self.reviews
            if (known.case_id, known.round_index) != (review.case_id, review.round_index)
        )
        return replace(self, reviews=(*kept, review))
