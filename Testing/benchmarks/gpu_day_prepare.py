"""Packs what a day at the GPU needs, on a computer with the product and all that it depends on."""

import csv
import json
import shutil
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import asdict, dataclass, replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import numpy.typing as npt
from gpu_day_pack import PACKAGES, STEPS, TEST
from paired_data import DATA_SETS

from PseudoLabelCLLib.domain.network_plan import settle_network
from PseudoLabelCLLib.domain.preprocess_config import PreprocessConfig
from PseudoLabelCLLib.messages.json_codec import to_json
from PseudoLabelCLLib.pipeline.rounds.round_data import settle_training
from PseudoLabelCLLib.pipeline.slices.case_slices import (
    annotation_of,
    load_case_slices,
    network_classes,
    preprocess_plan,
)
from PseudoLabelCLLib.storage.project.preprocess_plan import save_preprocess_plan
from PseudoLabelCLLib.storage.project.project_store import load_project

ROOT = Path(__file__).parents[2]
# Pure Python, or of a form that any Python of the same system loads.
CARRIED = ("safetensors", "monai", "dynamic_network_architectures")


@dataclass(frozen=True)
class Kind:
    """A data set as it is packed.

    Args:
        data_set: Its name in `paired_data`.
        combination: Which volumes are annotated.
        settings: Beside those of `quick`.
        most: How many cases of a role are packed; the others all are.
    """

    data_set: str
    combination: str
    settings: tuple[str, ...]
    most: dict[str, int]


KINDS = {
    "hearts": Kind("hearts", "c1", (), {TEST: 8}),
    "atrium": Kind(
        "left-atrium", "001", ("preprocess.dimension=3",),
        {"validation": 1, "unlabelled": 3, TEST: 2},
    ),
}  # fmt: skip


def prepare(data: Path, folder: Path) -> None:
    """Make a project of each data set as a person would, and pack its slices.

    Args:
        data: With `acdc/` and `left_atrium/`.
        folder: Where the files go.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for kind, one in KINDS.items():
        with tempfile.TemporaryDirectory() as aside:
            _pack_kind(one, data, folder / kind, Path(aside))
    _pack_packages(folder / PACKAGES)
    files = sorted(folder.iterdir())
    print("\n".join(f"{path.name}: {path.stat().st_size / 2**20:.1f} MiB" for path in files))
    print(f"together: {sum(path.stat().st_size for path in files) / 2**20:.1f} MiB")


def _pack_kind(kind: Kind, data: Path, target: Path, aside: Path) -> None:
    learned = {role: role for role in ("annotated", "validation", "unlabelled")}
    root = _project(kind, data, aside / "project", learned)
    project = load_project(root)
    preprocess = preprocess_plan(root, project)
    # what is measured takes no part in what is settled
    tested = _project(kind, data, aside / "tested", {TEST: "annotated"})
    save_preprocess_plan(tested, load_project(tested).preprocess, preprocess)
    arrays: dict[str, npt.NDArray] = {}
    cases = [
        *_arrays_of(root, preprocess, arrays),
        *({**case, "role": TEST} for case in _arrays_of(tested, preprocess, arrays)),
    ]
    config = replace(project.config, network=settle_network(project.config.network, preprocess))
    told = {
        "config": to_json(config),
        "preprocess": to_json(preprocess),
        "training": to_json(settle_training(project, preprocess)),
        "num_classes": project.schema.num_classes,
        "cases": cases,
        "kind": asdict(kind),
    }
    np.savez_compressed(target.with_suffix(".npz"), **arrays)
    target.with_suffix(".json").write_text(json.dumps(told, indent=1), encoding="utf-8")


def _project(kind: Kind, data: Path, folder: Path, roles: dict[str, str]) -> Path:
    """Make a project of the cases of some roles; each says what it is there."""
    data_set = DATA_SETS[kind.data_set]
    source = data / {"hearts": "acdc", "left-atrium": "left_atrium"}[kind.data_set]
    numbers = {
        "annotated": data_set.combinations[kind.combination],
        "validation": data_set.validation,
        "unlabelled": data_set.without_labels(source, kind.combination),
        TEST: data_set.test,
    }
    table = folder.with_suffix(".csv")
    with table.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("id", "role", "image", "annotation"))
        for role, role_there in roles.items():
            for number in numbers[role][: kind.most.get(role)]:
                label = "" if role == "unlabelled" else data_set.label(source, number)
                image = data_set.image(source, number)
                writer.writerow((f"{number:03d}", role_there, image, label))
    words = ["--table", str(table), "--labels", data_set.labels, "--profile", "quick"]
    words += [word for setting in kind.settings for word in ("--set", setting)]
    command = [sys.executable, "-m", "PseudoLabelCLLib", "create", str(folder), *words]
    subprocess.run(command, check=True, cwd=ROOT)
    return folder


def _arrays_of(
    root: Path, preprocess: PreprocessConfig, arrays: dict[str, npt.NDArray]
) -> list[dict[str, str]]:
    """Add the slices of a project's cases, and return who they are."""
    project = load_project(root)
    for case in project.cases:
        slices = load_case_slices(root, case, preprocess, project.channels)
        arrays[f"images_{case.id}"] = np.round(slices.images * STEPS).astype(np.int16)
        if case.annotation is not None:
            truth = annotation_of(root, case, project.schema)
            arrays[f"classes_{case.id}"] = network_classes(truth, slices.grid, project.schema)
    return [{"name": case.id, "role": case.role.value} for case in project.cases]


def _pack_packages(path: Path) -> None:
    """Pack the packages that a computer with a GPU may lack, as far as they are here."""
    aside = path.with_suffix(".part")
    with zipfile.ZipFile(aside, "w", zipfile.ZIP_DEFLATED) as file:
        for name in CARRIED:
            found = find_spec(name)
            if found is None or found.origin is None:
                continue
            folder = Path(found.origin).parent
            for one in sorted(folder.rglob("*")):
                if one.is_file() and "__pycache__" not in one.parts:
                    file.write(one, Path(name) / one.relative_to(folder))
    shutil.move(aside, path)
