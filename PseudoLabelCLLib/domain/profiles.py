"""Ready-made settings: quick for a CPU, balanced with more steps, paper as published."""

from dataclasses import replace

from PseudoLabelCLLib.domain.config import (
    LearningRate,
    Precision,
    Profile,
    ProjectConfig,
    PseudoLabelConfig,
    Selection,
    StageConfig,
    TrainingConfig,
)
from PseudoLabelCLLib.domain.method_config import (
    Affine,
    AugmentationConfig,
    CleanUpConfig,
    ConsistencyConfig,
    ContrastiveConfig,
    Denominator,
    IncompleteSlices,
    Mirror,
    PairWeighting,
)
from PseudoLabelCLLib.domain.network_config import NetworkConfig
from PseudoLabelCLLib.domain.preprocess_config import PreprocessConfig
from PseudoLabelCLLib.domain.pretraining_config import (
    GlobalLocalConfig,
    PositionalConfig,
    PretrainingConfig,
)


def in_3d(config: ProjectConfig) -> ProjectConfig:
    """Return the settings of `quick` or `balanced` for blocks of neighbouring slices.

    A block has about as many voxels as ten patches have pixels, so that a step sees two of a kind;
    half the channels on the finest levels keep a step as short as in 2-D.
    """
    training = config.training
    return replace(
        config,
        preprocess=replace(config.preprocess, dimension=3),
        network=replace(config.network, widths=(8, 16, 32, 64, 128, 128)),
        training=replace(
            training,
            supervised=replace(training.supervised, batch_size=2),
            joint=replace(training.joint, batch_size=2),
            consistency=replace(training.consistency, num_slices=2),
        ),
    )


def config_for(profile: Profile) -> ProjectConfig:
    """Return the settings of a profile.

    `quick` gives a useful result on a CPU, `balanced` trains longer with the same recipe, `paper`
    is the published schedule (Chaitanya et al., MedIA 2023), `legacy` follows their code where it
    differs from the text (see Docs/methods.md).
    """
    if profile is Profile.PAPER:
        return _paper_config()
    if profile is Profile.LEGACY:
        return _legacy_config()
    quick = ProjectConfig(
        profile=Profile.QUICK,
        preprocess=PreprocessConfig(
            body_mask=True,
            measured_values=True,
            whole_slices=True,
            max_window_size=128,
            scale_ct=True,
        ),
        network=NetworkConfig(),
        training=TrainingConfig(
            supervised=StageConfig(num_steps=600, batch_size=10, learning_rate=3e-3),
            # slow on purpose: a teacher that drifts takes the network with it; few slices with
            # truth, which are seen often enough, leave time for more steps (Docs/benchmarks.md)
            joint=StageConfig(num_steps=400, batch_size=4, learning_rate=5e-4),
            # beside the consistency loss it gained nothing in so few steps (Docs/benchmarks.md)
            contrastive=ContrastiveConfig(weight=0.0, num_pairs=4),
        ),
        pseudo_label=PseudoLabelConfig(single_pieces=True),
    )
    if profile is Profile.QUICK:
        return quick
    training = replace(
        quick.training,
        supervised=replace(quick.training.supervised, num_steps=2000, batch_size=20),
        joint=replace(quick.training.joint, num_steps=1500, batch_size=20),
        contrastive=ContrastiveConfig(weight=0.0),
        num_joint_rounds=3,
    )
    return replace(
        quick,
        profile=Profile.BALANCED,
        preprocess=replace(quick.preprocess, max_window_size=192),
        training=training,
        pseudo_label=replace(quick.pseudo_label, num_augmented_copies=8),
    )


def _paper_config() -> ProjectConfig:
    stage = StageConfig(
        num_steps=5000,
        batch_size=20,
        learning_rate=1e-3,
        schedule=LearningRate.CONSTANT,
        weight_decay=0.0,
        cross_entropy_weight=0.0,
        average_decay=0.0,
    )
    return ProjectConfig(
        profile=Profile.PAPER,
        preprocess=PreprocessConfig(bias_correction=True),
        network=NetworkConfig(batch_norm_momentum=0.01),
        training=TrainingConfig(
            supervised=stage,
            joint=stage,
            num_joint_rounds=3,
            augmentation=AugmentationConfig(
                affine=Affine.ONE_OF_FIVE,
                rotation_deg=15.0,
                scale_fraction=0.05,
                mirror=Mirror.LEFT_RIGHT,
                # 5 of 192 pixels on a 3 x 3 grid, as in the published code
                elastic_fraction=5 / 192,
                elastic_grid=3,
                elastic_mixed=True,
                contrast_fraction=0.2,
                brightness=0.1,
            ),
            contrastive=ContrastiveConfig(denominator=Denominator.TARGET_ONLY),
            consistency=ConsistencyConfig(weight=0.0),
            keep_moments=True,
            precision=Precision.FLOAT32,
            validations_per_round=100,
            checkpoints_per_round=50,
        ),
        pseudo_label=PseudoLabelConfig(mirror=True),
        pretraining=PretrainingConfig(
            global_local=GlobalLocalConfig(global_steps=10_000, local_steps=10_000),
            positional=PositionalConfig(num_steps=10_000, batch_size=32),
        ),
    )


def _legacy_config() -> ProjectConfig:
    paper = _paper_config()
    training = paper.training
    return replace(
        paper,
        profile=Profile.LEGACY,
        training=replace(
            training,
            joint=replace(training.joint, min_structures=2),
            augmentation=replace(training.augmentation, contrast_fraction=0.0, brightness=0.0),
            contrastive=ContrastiveConfig(
                pair_weighting=PairWeighting.LEGACY,
                incomplete_slices=IncompleteSlices.SKIP,
                one_change_per_half=True,
            ),
            reset_head=True,
            selection=Selection.LAST_IMPROVEMENT,
        ),
        pseudo_label=PseudoLabelConfig(mirror=True, clean_up=CleanUpConfig(num_iterations=30)),
    )
