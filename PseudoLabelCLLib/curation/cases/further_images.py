"""The further images of a case: which channels a project has, and an image for each of them."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from PseudoLabelCLLib.curation.check.image_checks import check_channel
from PseudoLabelCLLib.curation.find.label_map_look import ask_about_label_map
from PseudoLabelCLLib.curation.grids.case_images import ImageFile, further_on_grid
from PseudoLabelCLLib.curation.grids.image_place import settled_place
from PseudoLabelCLLib.domain.case import Case, FurtherImage, NewCase
from PseudoLabelCLLib.domain.channels import (
    NamedImage,
    check_channels,
    missing_among,
    same_channel,
)
from PseudoLabelCLLib.domain.errors import ProjectError
from PseudoLabelCLLib.domain.findings import Note
from PseudoLabelCLLib.domain.geometry import Geometry
from PseudoLabelCLLib.domain.project import Project
from PseudoLabelCLLib.domain.question import Asking
from PseudoLabelCLLib.domain.text import Text
from PseudoLabelCLLib.domain.volume import Volume
from PseudoLabelCLLib.storage.files.atomic_files import make_folder
from PseudoLabelCLLib.storage.project.project_layout import ProjectLayout
from PseudoLabelCLLib.storage.project.project_store import save_cases
from PseudoLabelCLLib.storage.volume_io import read_volume, write_volume


def with_channels(project: Project, channels: Sequence[str]) -> Project:
    """Return the project with names for the images of each case, and room for more of them.

    Names that it has stay, in their order; a first name is that of the images that the cases have.

    Raises:
        ProjectError: A name is unfit, the first channel is another one, or a network has been
            trained on other channels.
    """
    check_channels(channels)
    if project.channels and channels and not same_channel(project.channels[0], channels[0]):
        raise ProjectError(
            Text(
                "The first channel of the project is '{known}', not '{found}': segmentations lie "
                "on its grid.",
                known=project.channels[0],
                found=channels[0],
            ),
            Text("Name the channels in the order of the project: {names}.",
                 names=", ".join(project.channels)),
        )  # fmt: skip
    new = missing_among(channels, project.channels)
    if not new:
        return project
    changed = replace(project, channels=(*project.channels, *new))
    if project.rounds and changed.num_channels != project.num_channels:
        raise ProjectError(
            Text(
                "The project was begun with {count} per case ({names}); after round 0 no channel "
                "can be added.",
                count=_counted_images(project),
                names=", ".join(project.channels) or Text("unnamed"),
            ),
            Text("Create a new project with all channels."),
        )
    return changed


def _counted_images(project: Project) -> Text:
    number = project.num_channels
    return Text("one image") if number == 1 else Text("{count} images", count=number)


def with_channels_of(project: Project, new: NewCase) -> Project:
    """Return the project with the channels that a new case names.

    Raises:
        ProjectError: They do not fit, or its first image is another channel.
    """
    if not new.channels:
        return project
    if not new.channel and not project.channels:
        raise ProjectError(
            Text(
                "Case '{case}' has the further image '{channel}', but its first image has no name.",
                case=new.case_id,
                channel=new.further_images[0].channel,
            ),
            Text("Name all channels, the first one first."),
        )
    named = new.channels if new.channel else (project.channels[0], *new.channels)
    return with_channels(project, named)


def read_further_images(
    layout: ProjectLayout, project: Project, new: NewCase, first: Volume, asking: Asking
) -> tuple[tuple[FurtherImage, ...], tuple[Volume, ...], tuple[Text, ...]]:
    """Read and check the further images of a new case.

    Args:
        layout: Of the project.
        project: With the channels of the case.
        new: The case.
        first: Its first image.
        asking: Asks the person.

    Returns:
        What the project keeps of them, the volumes as they are, and what a person should know.

    Raises:
        VolumeError: One cannot be read, is unfit, or shows another place than the first one.
        QuestionError: A person has to say what is meant.
    """
    kept, volumes, notices = [], [], list[Text]()
    axis = project.preprocess.slicing_axis_of(first.geometry)
    for image in new.further_images:
        path = Path(image.image)
        layout.choose(path)
        near, told = settled_place(path, asking, name=path.name)
        volume, more = _checked(image, near, project, first, new.case_id, axis)
        ask_about_label_map(volume, path.name, asking)
        copy = layout.channel_copy(new.case_id, image.channel)
        kept.append(
            FurtherImage(
                channel=image.channel,
                image=layout.relative(copy if new.copy_image else path),
                geometry=volume.geometry,
                dicom_series_uid=None if new.copy_image else image.series_uid,
            )
        )
        volumes.append(volume)
        notices += (*told, *more)
    missing = missing_among(project.channels[1:], [one.channel for one in kept])
    if missing:
        told_missing = Note.CHANNEL_MISSING.say(case=new.case_id, missing=", ".join(missing))
        notices.append(told_missing)
    return tuple(kept), tuple(volumes), tuple(notices)


def _checked(
    image: NamedImage,
    near: Geometry | None,
    project: Project,
    first: Volume,
    case_id: str,
    axis: int,
) -> tuple[Volume, tuple[Text, ...]]:
    file = ImageFile(Path(image.image), image.series_uid)
    own = read_volume(file.path, file.series_uid, near)
    names = (project.channels[0], image.channel)
    placed, notices = further_on_grid(first, (own,), names, case_id)
    check_channel(placed[0], image.channel, case_id=case_id, axis=axis)
    return own, notices


def write_copies(
    layout: ProjectLayout, new: NewCase, volumes: Sequence[Volume], *, case_id: str
) -> None:
    """Write the project's own copies of further images, where they are asked for.

    Raises:
        StorageError: The disk refuses.
    """
    for image, volume in zip(new.further_images, volumes, strict=True):
        if new.copy_image:
            copy = layout.channel_copy(case_id, image.channel)
            make_folder(copy.parent)
            write_volume(copy, volume)


def add_further_image(  # noqa: PLR0913 - a case, an image, and two ways to take it
    root: Path,
    project: Project,
    case_id: str,
    image: NamedImage,
    first_channel: str = "",
    asking: Asking | None = None,
    *,
    copy_image: bool = False,
) -> tuple[Project, tuple[Text, ...]]:
    """Give a case the image of another channel, and save the project.

    An image that it has of this channel is replaced as long as no round has learned from it; the
    file of that image stays where it is.

    Args:
        root: The project folder.
        project: The project as it is now.
        case_id: The case.
        image: What is added.
        first_channel: What the images that the cases have are called, where the project does not
            say so yet.
        asking: Asks the person about what could be wrong.
        copy_image: Whether the project keeps a copy of its own.

    Returns:
        The project, and what a person should know.

    Raises:
        ProjectError: There is no such case, or the channel does not fit the project.
        VolumeError: The image cannot be read, is unfit, or shows another place.
        QuestionError: A person has to say what is meant.
        StorageError: The disk refuses.
    """
    asking = asking or Asking(case_id)
    case, layout = project.case(case_id), ProjectLayout(root)
    names = project.channels[:1] or ((first_channel,) if first_channel else ())
    new = NewCase(
        case.id,
        case.role,
        case.image,
        copy_image=copy_image,
        further_images=(image,),
        channel=names[0] if names else "",
    )
    changed = with_channels_of(project, new)
    _check_place_for(changed, case, image.channel)
    first = read_volume(layout.resolve(case.image), case.dicom_series_uid, case.geometry)
    alone = replace(changed, channels=(changed.channels[0], image.channel), cases=())
    kept, volumes, notices = read_further_images(layout, alone, new, first, asking)
    changed = changed.with_case(_with_image(case, kept[0]).with_answers(asking.used))
    write_copies(layout, new, volumes, case_id=case.id)
    save_cases(root, changed)
    return changed, notices


def _check_place_for(project: Project, case: Case, channel: str) -> None:
    """Refuse an image that is the first one, or that a round may have learned from already."""
    if same_channel(project.channels[0], channel):
        raise ProjectError(
            Text(
                "'{channel}' is the first image of each case, and case '{case}' has it.",
                channel=channel,
                case=case.id,
            ),
            Text("Name another channel."),
        )
    if case.further_image(channel) is not None and project.rounds:
        raise ProjectError(
            Text(
                "Case '{case}' has a {channel} image already, and round 0 has begun.",
                case=case.id,
                channel=channel,
            ),
            Text("Add the patient as a new case."),
        )


def _with_image(case: Case, image: FurtherImage) -> Case:
    others = [o for o in case.further_images if not same_channel(o.channel, image.channel)]
    return replace(case, further_images=(*others, image))
