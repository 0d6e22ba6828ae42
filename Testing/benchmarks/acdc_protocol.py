"""The protocol of the ACDC benchmark: which volume does what, and what each row of its table is.

Nothing here touches the disk; `acdc.py` runs what stands here, `acdc_table.py` reads the results.

Source: splits of Chaitanya et al., MedIA 2023, as their repository lists them. Their 20 test
volumes take no part at all; the development test volumes were never theirs.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from enum import Enum
from itertools import product

from PseudoLabelCLLib.command_line.settings import config_from_arguments
from PseudoLabelCLLib.domain.config import (
    Profile,
    ProjectConfig,
    StageConfig,
    TrainingConfig,
)
from PseudoLabelCLLib.domain.errors import PseudoLabelCLError
from PseudoLabelCLLib.domain.method_config import ContrastiveConfig
from PseudoLabelCLLib.domain.pretraining_config import Pretraining
from PseudoLabelCLLib.domain.profiles import config_for
from PseudoLabelCLLib.messages.json_codec import to_json

LABELS = "1=right ventricle,2=myocardium,3=left ventricle"

UNLABELLED_LIST = (
    *range(1, 7), 12, *range(17, 27), *range(37, 47), *range(57, 67), 72, *range(77, 87),
    *range(97, 101),
)  # fmt: skip
DEVELOPMENT_TEST = (
    *range(13, 17), *range(32, 37), *range(51, 57), *range(73, 77), *range(91, 94), 96,
)  # fmt: skip
PAPERS_TEST = (
    *range(7, 11), *range(27, 31), *range(47, 51), *range(67, 71), *range(87, 91),
)  # fmt: skip

_FIRST_PAIR, _SECOND_PAIR = (11, 71), (31, 72)
_FIVE = (2, 22, 42, 62, 95)

# labelled volumes -> combination -> (annotated, validation)
COMBINATIONS: dict[int, dict[str, tuple[tuple[int, ...], tuple[int, ...]]]] = {
    1: {
        "c1": ((2,), _FIRST_PAIR),
        "c2": ((42,), _SECOND_PAIR),
        "c3": ((95,), _FIRST_PAIR),
        "c4": ((22,), _FIRST_PAIR),
        "c5": ((62,), _FIRST_PAIR),
    },
    2: {
        "c1": ((42, 62), _SECOND_PAIR),
        "c2": ((2, 42), _FIRST_PAIR),
        "c3": ((42, 95), _SECOND_PAIR),
        "c4": ((2, 22), _FIRST_PAIR),
        "c5": ((2, 95), _FIRST_PAIR),
    },
    8: {
        "c1": ((*_FIVE, 3, 23, 43), _FIRST_PAIR),
        "c2": ((*_FIVE, 63, 94, 43), _SECOND_PAIR),
        "c3": ((*_FIVE, 3, 94, 23), _FIRST_PAIR),
    },
}

_JOINT_STAGE = "training.joint."

# The few slices with truth in a joint step of `quick` were chosen for the consistency loss. The
# other methods keep the batch with which they were measured first.
_BATCH_OF_OTHERS = {
    Profile.QUICK: (f"{_JOINT_STAGE}batch_size=8", f"{_JOINT_STAGE}num_steps=300"),
}

# Forward passes are about a third of a training step, which goes forward and back.
TEACHER_SHARE = 1 / 3


class ProtocolError(PseudoLabelCLError):
    """What was asked for is no cell of the benchmark."""


class Recipe(Enum):
    """What the supervised training is made of.

    `paper` is the papers' weak one: Dice loss alone, Adam at a constant 1e-3, their augmentation,
    no average of the weights, slow batch-normalisation averages. `strong` is the profile's own.
    Steps and batch sizes are those of the profile in both.
    """

    PAPER = "paper"
    STRONG = "strong"


class Joint(Enum):
    """What takes place in the rounds after round 0.

    `baseline` goes on with human truth alone for about as long as the others take; `upper-bound`
    does the same with every volume annotated whose truth is known. `self-training` trains on
    pseudo-labels as if they were true; `intra` and `inter` use them in the contrastive loss alone;
    `consistency` uses unlabelled slices in the consistency loss alone, `inter+consistency` in both;
    `default` is what the profile does.
    """

    BASELINE = "baseline"
    SELF_TRAINING = "self-training"
    INTRA = "intra"
    INTER = "inter"
    CONSISTENCY = "consistency"
    INTER_CONSISTENCY = "inter+consistency"
    DEFAULT = "default"
    UPPER_BOUND = "upper-bound"


@dataclass(frozen=True)
class Method:
    """A row of the table: what trains the network before round 0, and what follows it."""

    pretraining: Pretraining
    joint: Joint

    @property
    def name(self) -> str:
        """As it is typed: "inter", or "global+local:inter"."""
        before = "" if self.pretraining is Pretraining.NONE else f"{self.pretraining.value}:"
        return f"{before}{self.joint.value}"

    @property
    def is_our_own(self) -> bool:
        """Whether it is the product's own rather than a published one."""
        return self.joint in (Joint.CONSISTENCY, Joint.INTER_CONSISTENCY, Joint.DEFAULT)


@dataclass(frozen=True)
class Roles:
    """Which patient does what; nobody does two things.

    Raises:
        ProtocolError: A patient has two roles, or is one of the papers' test patients.
    """

    annotated: tuple[int, ...]
    validation: tuple[int, ...]
    unlabelled: tuple[int, ...]
    test: tuple[int, ...]

    def __post_init__(self) -> None:
        everyone = [number for role in asdict(self).values() for number in role]
        twice = sorted({number for number in everyone if everyone.count(number) > 1})
        if twice:
            raise ProtocolError(f"Patients {twice} have two roles.", "Give each patient one.")
        kept_back = sorted(set(everyone) & set(PAPERS_TEST))
        if kept_back:
            raise ProtocolError(
                f"Patients {kept_back} are the papers' test patients.", "Leave them out."
            )


@dataclass(frozen=True)
class Cell:
    """One run of the benchmark.

    Raises:
        ProtocolError: The combination does not exist, or the recipe does not go with the rest.
    """

    labelled: int
    combination: str
    method: Method
    recipe: Recipe
    profile: Profile
    seed: int

    def __post_init__(self) -> None:
        known = COMBINATIONS.get(self.labelled, {})
        if self.combination not in known:
            raise ProtocolError(
                f"There is no combination {self.combination} of {self.labelled} volumes.",
                f"Known for {self.labelled}: {', '.join(known) or 'none'}.",
            )
        published = self.profile in (Profile.PAPER, Profile.LEGACY)
        if self.recipe is Recipe.STRONG and published:
            raise ProtocolError(
                f"Profile {self.profile.value} has the papers' recipe only.",
                "Add --recipe paper, or choose another profile.",
            )
        if self.recipe is Recipe.PAPER and self.method.is_our_own and not published:
            raise ProtocolError(
                f"Method {self.method.joint.value} is the product's own and has no papers' recipe.",
                "Add --recipe strong.",
            )

    @property
    def name(self) -> str:
        """Of the run's files."""
        parts = (
            self.labelled, self.combination, self.method.name.replace(":", "_"),
            self.recipe.value, self.profile.value, self.seed,
        )  # fmt: skip
        return "-".join(map(str, parts))


def parse_method(text: str) -> Method:
    """Return the method that was typed: "inter", or "positional:inter".

    Raises:
        ProtocolError: There is none of that name.
    """
    before, separator, joint = text.rpartition(":")
    known_before = [p.value for p in Pretraining if p is not Pretraining.NONE]
    known_joint = [j.value for j in Joint]
    if joint not in known_joint or (separator and before not in known_before):
        raise ProtocolError(
            f"There is no method '{text}'.",
            f"Known: {', '.join(known_joint)}; before it may stand "
            f"{' or '.join(f'{name}:' for name in known_before)}",
        )
    return Method(Pretraining(before or "none"), Joint(joint))


def roles_of(cell: Cell, with_truth: Sequence[int]) -> Roles:
    """Return who does what in a run.

    The unlabelled volumes are the papers' 52 less those that are annotated or validate: the
    published list holds both.

    Args:
        cell: The run.
        with_truth: Every patient whose segmentation is at hand; `upper-bound` annotates them all
            but those that validate or test.
    """
    annotated, validation = COMBINATIONS[cell.labelled][cell.combination]
    if cell.method.joint is Joint.UPPER_BOUND:
        kept = {*validation, *DEVELOPMENT_TEST, *PAPERS_TEST}
        annotated = tuple(sorted(set(with_truth) - kept))
    taken = {*annotated, *validation}
    unlabelled = tuple(n for n in UNLABELLED_LIST if n not in taken)
    return Roles(annotated, validation, unlabelled, DEVELOPMENT_TEST)


def start_settings(cell: Cell, chosen: Sequence[str]) -> tuple[str, ...]:
    """Return the settings of round 0, as `create --set` takes them; the later counts.

    Those chosen for the joint rounds alone are left out, so that methods with different joint
    rounds go on from the same round 0.
    """
    return (
        *(_paper_recipe() if cell.recipe is Recipe.PAPER and _is_ours(cell.profile) else ()),
        f"pretraining.method={cell.method.pretraining.value}",
        f"training.seed={cell.seed}",
        *(setting for setting in chosen if not setting.startswith(_JOINT_STAGE)),
    )


def run_config(
    cell: Cell, chosen: Sequence[str], equal_time: float | None = None
) -> tuple[ProjectConfig, tuple[str, ...]]:
    """Return all settings of a run's joint rounds, and how they are typed.

    Args:
        cell: The run.
        chosen: Settings of the whole benchmark.
        equal_time: Steps of the baseline for one joint step; None counts slices
            (`equal_time_factor`).
    """
    settings = _settings(cell, cell.method.joint, chosen)
    if cell.method.joint in (Joint.BASELINE, Joint.UPPER_BOUND):
        own = config_from_arguments(cell.profile.value, settings).training
        factor = equal_time or equal_time_factor(_dearest(cell, chosen), own)
        settings = (*settings, f"training.joint.num_steps={round(own.joint.num_steps * factor)}")
    return config_from_arguments(cell.profile.value, settings), settings


def equal_time_factor(dear: TrainingConfig, cheap: TrainingConfig) -> float:
    """Return how many joint steps of the second settings take the time of one of the first.

    Time goes with the slices that pass through the network: processor time for a step of `quick`
    was 1.9 times the baseline's for self-training (slices say 2.0), 2.0 to 2.2 for intra and inter
    (2.0), 3.5 for inter with consistency (3.3). The minutes in the table check it on every device.
    """
    return _slices_per_step(dear) / _slices_per_step(cheap)


def cells_of(
    methods: Sequence[Method],
    recipes: Sequence[Recipe],
    profile: Profile,
    *,
    labelled: Sequence[int],
    combinations: Sequence[str],
    seeds: Sequence[int],
) -> Iterator[Cell]:
    """Yield every cell that exists, seed by seed and combination by combination.

    So a benchmark that is stopped early has whole combinations, which can be compared.
    """
    for choice in product(seeds, combinations, labelled, recipes, methods):
        seed, combination, number, recipe, method = choice
        with suppress(ProtocolError):  # such as eight volumes, c4
            yield Cell(number, combination, method, recipe, profile, seed)


def key_of(*parts: object) -> str:
    """Return a short name for whatever decides a result."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:12]


def _is_ours(profile: Profile) -> bool:
    return profile in (Profile.QUICK, Profile.BALANCED)


def _paper_recipe() -> tuple[str, ...]:
    paper = config_for(Profile.PAPER)
    told = to_json(paper.training.augmentation)
    stages = [
        f"training.{stage}.{field.name}={json.dumps(_stage_value(paper, stage, field.name))}"
        for stage in ("supervised", "joint")
        for field in fields(StageConfig)
        if field.name not in ("num_steps", "batch_size")
    ]
    return (
        *stages,
        f"training.augmentation={json.dumps(told)}",
        f"network.batch_norm_momentum={paper.network.batch_norm_momentum}",
        f"training.consistency.weight={paper.training.consistency.weight}",
        f"training.copy_paste.weight={paper.training.copy_paste.weight}",
    )


def _stage_value(config: ProjectConfig, stage: str, name: str) -> object:
    value = getattr(getattr(config.training, stage), name)
    return value.value if isinstance(value, Enum) else value


def _settings(cell: Cell, joint: Joint, chosen: Sequence[str]) -> tuple[str, ...]:
    """All settings of a run whose joint rounds do this."""
    of_joint_stage = (setting for setting in chosen if setting.startswith(_JOINT_STAGE))
    batch = () if cell.method.is_our_own else _BATCH_OF_OTHERS.get(cell.profile, ())
    start = start_settings(cell, chosen)
    return (*start, *batch, *of_joint_stage, *_joint_settings(joint, chosen))


def _joint_settings(joint: Joint, chosen: Sequence[str]) -> tuple[str, ...]:
    if joint is Joint.DEFAULT:
        return ()
    consistency = joint in (Joint.CONSISTENCY, Joint.INTER_CONSISTENCY)
    alone = (f"training.consistency.weight={int(consistency)}", "training.copy_paste.weight=0")
    if joint in (Joint.INTRA, Joint.INTER, Joint.INTER_CONSISTENCY):
        form = "intra" if joint is Joint.INTRA else "inter"
        weight = f"training.contrastive.weight={ContrastiveConfig().weight}"
        typed = [setting for setting in chosen if setting.startswith(weight.partition("=")[0])]
        return (*alone, f"training.contrastive.form={form}", *(typed or [weight]))
    believed = int(joint is Joint.SELF_TRAINING)
    return (*alone, "training.contrastive.weight=0", f"training.pseudo_label_weight={believed}")


def _dearest(cell: Cell, chosen: Sequence[str]) -> TrainingConfig:
    """The settings of the method whose steps take longest under this recipe."""
    joint = Joint.INTER if cell.recipe is Recipe.PAPER else Joint.INTER_CONSISTENCY
    return config_from_arguments(cell.profile.value, _settings(cell, joint, chosen)).training


def _slices_per_step(training: TrainingConfig) -> float:
    """Slices that go forward and back in a joint step; the teacher's go forward alone."""
    batch, consistency, mixed = training.joint.batch_size, training.consistency, training.copy_paste
    slices: float = batch
    if training.pseudo_label_weight:
        slices += batch
    if training.contrastive.weight:
        slices += 2 * training.contrastive.num_pairs
    if consistency.weight or mixed.weight:
        slices += consistency.num_slices * TEACHER_SHARE
    if consistency.weight:
        slices += consistency.num_slices
    if mixed.weight:
        slices += 2 * min(mixed.num_slices, consistency.num_slices)
    return slices
