"""Settings and labels as they are typed on the command line."""

import re
from collections.abc import Sequence
from pathlib import Path

from PseudoLabelCLLib.curation.cases.label_schema_file import (
    read_label_schema,
    schema_from_annotation,
)
from PseudoLabelCLLib.curation.cases.settings import changed_config
from PseudoLabelCLLib.domain.case import CaseRole, NewCase
from PseudoLabelCLLib.domain.config import Profile, ProjectConfig
from PseudoLabelCLLib.domain.errors import AnnotationError
from PseudoLabelCLLib.domain.presets import PRESETS
from PseudoLabelCLLib.domain.profiles import config_for, in_3d
from PseudoLabelCLLib.domain.question import Asking, GivenAnswer
from PseudoLabelCLLib.domain.segmentation import DEFAULT_COLORS, LabelClass, LabelSchema
from PseudoLabelCLLib.domain.text import Text

_IN_3D = "preprocess.dimension=3"


def config_from_arguments(
    profile: str, settings: Sequence[str], preset: str | None = None
) -> ProjectConfig:
    """Return a profile's settings with single ones changed by "training.seed=1".

    With "preprocess.dimension=3" they are changed in the profile's settings for 3-D.

    Args:
        profile: Its name.
        settings: As typed; they go before those of the preset.
        preset: Name of the data set of a paper, or None.

    Raises:
        ProjectError: There is no such setting, or it cannot have that value.
    """
    config = config_for(Profile(profile))
    if preset is not None:
        settings = (*PRESETS[preset].settings_for(Profile(profile)), *settings)
    if _IN_3D in settings and config.preprocess.whole_slices:
        config = in_3d(config)
    return changed_config(config, settings, "--set", Text("Correct the value given with --set."))


def schema_from_arguments(
    labels: str | None, rows: Sequence[NewCase], answers: Sequence[GivenAnswer] = ()
) -> LabelSchema:
    """Return the labels from a file, from "1=name,2=name", or from the first annotated case.

    Raises:
        AnnotationError: No schema can be made of it.
    """
    if labels is None:
        annotated = [row for row in rows if row.role is CaseRole.ANNOTATED]
        if not annotated:
            raise AnnotationError(
                Text("There is no annotated volume from which to take the structures."),
                Text(
                    "Name them with --labels '1=right ventricle,2=myocardium', or name an "
                    "annotated volume with --annotated VOLUME SEGMENTATION."
                ),
            )
        if annotated[0].annotation is None:
            raise AnnotationError(
                Text(
                    "Case '{case}' is meant to be annotated but has no segmentation.",
                    case=annotated[0].case_id,
                ),
                Text("Give it a segmentation, or make it 'unlabelled'."),
            )
        asking = Asking(annotated[0].case_id, answers)
        return schema_from_annotation(Path(annotated[0].annotation), asking)
    if "=" in labels and not _is_file(labels):
        return LabelSchema(tuple(_label(part, n) for n, part in enumerate(labels.split(","))))
    return read_label_schema(Path(labels))


def _is_file(text: str) -> bool:
    try:
        return Path(text).is_file()
    except OSError:  # a long list of labels is longer than any file name
        return False


def _label(text: str, number: int) -> LabelClass:
    value, _, name = text.partition("=")
    if not re.fullmatch("[0-9]{1,9}", value.strip()):
        raise AnnotationError(
            Text("'{text}' is not a valid structure.", text=text),
            Text("Write structures like 1=right ventricle,2=myocardium."),
        )
    return LabelClass(int(value), name.strip(), DEFAULT_COLORS[number % len(DEFAULT_COLORS)])
