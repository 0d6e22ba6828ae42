"""What was found in files and folders, made into volumes to add."""

from dataclasses import replace

from PseudoLabelCLLib.domain.case import CaseRole, NewCase
from PseudoLabelCLLib.messages.answers import FoundVolume, VolumesFound


def gather(found: tuple[tuple[str, VolumesFound], ...]) -> VolumesFound:
    """Return what several searches found as one.

    A volume that was found twice counts once, and a segmentation that was chosen together with its
    volume is no volume of its own.

    Args:
        found: The file or folder of each search, and what it found.
    """
    volumes = [volume for _path, one in found for volume in one.volumes]
    taken = {volume.annotation for volume in volumes}
    first: dict[tuple[str, str | None], FoundVolume] = {}
    for volume in volumes:
        if volume.image not in taken:
            first.setdefault((volume.image, volume.series_uid), volume)
    problems = (problem for path, one in found if path not in taken for problem in one.problems)
    return VolumesFound(tuple(first.values()), tuple(dict.fromkeys(problems)))


def new_volumes(
    found: tuple[FoundVolume, ...], role: CaseRole | None, taken: tuple[str, ...] = ()
) -> tuple[NewCase, ...]:
    """Return volumes that were found as volumes to add.

    One without a segmentation cannot be annotated or validate; it becomes unlabelled.

    Args:
        found: What is to be added.
        role: What for; None lets those with a segmentation be annotated, the others unlabelled.
        taken: Names that the project has.
    """
    names = {name.casefold() for name in taken}
    volumes = []
    for volume in found:
        name, number = volume.case_id, 1
        while name.casefold() in names:
            number += 1
            name = f"{volume.case_id}_{number}"
        names.add(name.casefold())
        wanted = CaseRole.ANNOTATED if role is None else role
        fits = volume.annotation is not None or not wanted.needs_annotation
        own_role = wanted if fits else CaseRole.UNLABELLED
        annotation = volume.annotation if own_role.needs_annotation else None
        new = NewCase(name, own_role, volume.image, volume.series_uid, annotation)
        volumes.append(
            replace(
                new,
                kept=volume.kept,
                channel=volume.channel,
                further_images=volume.further_images,
            )
        )
    return tuple(volumes)
