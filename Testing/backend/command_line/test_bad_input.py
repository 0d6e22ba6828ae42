"""Bad input of every kind: a plain sentence, a remedy, no traceback, nothing on disk changed."""

import errno
import json
import os
import pickle
import stat
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path

import bad_files as bad
import bad_projects
import bad_volumes
import numpy as np
import pytest
import torch
from a_service import (
    QUICKEST,
    contents,
    copied_service,
    labels,
    named,
    voxels,
    worker_in_this_process,
    write_service,
)

from PseudoLabelCLLib.command_line.main import main
from PseudoLabelCLLib.storage.files import atomic_files
from PseudoLabelCLLib.storage.project.project_store import load_project

KINDS = {
    id_: kind
    for module, group in (
        *((bad_volumes, name) for name in
          ("IMAGES", "SEGMENTATIONS", "DICOM", "NAMES", "TABLES", "SETTINGS")),
        *((bad_projects, name) for name in
          ("PROJECTS", "REVIEWS", "EXPORTS", "MODELS", "WORK")),
    )
    for id_, kind in getattr(module, group).items()
}  # fmt: skip
HOLDER = """
import sys
from pathlib import Path
from PseudoLabelCLLib.storage.project.project_lock import project_lock
with project_lock(Path(sys.argv[1]), "Slicer"):
    print("held", flush=True)
    sys.stdin.read()
"""
CODE_IN_MODELS = {
    "pickle": bad.pickle_model,
    "saved by torch": bad.saved_by_torch,
    "in the weights": bad.model_with_code,
}


@pytest.fixture(scope="session")
def a_filled_service(tmp_path_factory):
    return write_service(tmp_path_factory.mktemp("service"))


@pytest.fixture
def a_service(a_filled_service, tmp_path):
    return copied_service(a_filled_service, tmp_path / "service")


@pytest.fixture
def a_service_of_a_plain_user(a_filled_service):
    """A service in a folder that others may enter, seen without the rights of root."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield copied_service(a_filled_service, Path(folder) / "service")


@contextmanager
def rights_of_a_plain_user():
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@contextmanager
def read_only(folder):
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o555 if path.is_dir() else 0o444)
    try:
        yield
    finally:
        for path in (folder, *folder.rglob("*")):
            path.chmod(path.stat().st_mode | stat.S_IWUSR)


@contextmanager
def held_by_another_process(lock):
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, lock], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout.readline() == b"held\n"
        yield process
        process.stdin.close()


def refusal(arguments, capfd):
    """Run a command that is refused and return its message, checked for what all have."""
    capfd.readouterr()
    code = main(arguments)
    out, err = capfd.readouterr()
    assert code == 1
    assert out.count("Error: ") == 0
    assert err.count("Error: ") == 1
    assert "Traceback" not in out + err
    message = err[err.index("Error: ") :]
    told, _, remedy = message.partition("\n       ")
    assert told.endswith((".\n", ".", "?"))
    assert remedy.strip()
    return message


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_bad_input_gets_a_sentence_and_changes_nothing(a_service, kind, capfd, monkeypatch):
    make_arguments, *words = kind
    arguments = make_arguments(a_service)
    on_disk = contents(a_service.folder)

    with worker_in_this_process(monkeypatch):
        message = refusal(arguments, capfd)

    for word in words:
        assert word in message
    assert contents(a_service.folder) == on_disk


@pytest.mark.parametrize("kind", bad_projects.USAGE.values(), ids=bad_projects.USAGE)
def test_wrong_arguments_are_told_with_what_is_possible(a_service, kind, capfd):
    make_arguments, *words = kind
    arguments = make_arguments(a_service)
    on_disk = contents(a_service.folder)

    with pytest.raises(SystemExit, match="2"):
        main(arguments)

    err = capfd.readouterr().err
    assert err.startswith("usage: pseudolabelcl")
    for word in words:
        assert word in err
    assert contents(a_service.folder) == on_disk


@pytest.mark.parametrize("make", CODE_IN_MODELS.values(), ids=CODE_IN_MODELS)
def test_code_in_a_model_file_is_never_executed(a_service, make, capfd, monkeypatch, tmp_path):
    trace = tmp_path / "trace"
    model = make(a_service, trace)

    with worker_in_this_process(monkeypatch):
        arguments = [
            "predict",
            model,
            a_service.image,
            "--output",
            a_service.out,
            "--device",
            "cpu",
        ]
        assert Path(model).name in refusal(arguments, capfd)

    assert not trace.exists()


def test_the_code_in_those_files_works_where_pickle_opens_them(tmp_path):
    pickle.loads(pickle.dumps(bad.Evil(str(tmp_path / "trace")))).close()
    assert (tmp_path / "trace").exists()


def test_missing_cuda_is_told(a_service, capfd, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with worker_in_this_process(monkeypatch):
        message = refusal(["train", a_service.unreviewed, "--device", "cuda"], capfd)
    assert "no usable NVIDIA GPU" in message
    assert "'cpu'" in message


def accepting(service):
    """A command that accepts a proposal as the list shows it."""
    return ["review", service.project, "other-1", "--accept", *named(service.project, "other-1")]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has other permissions")
@pytest.mark.parametrize("command", ["create", "accept", "export"])
def test_read_only_folder_is_told(a_service_of_a_plain_user, command, capfd):
    service = a_service_of_a_plain_user
    arguments = {
        "create": service.create(),
        "accept": accepting(service),
        "export": ["export", service.project, service.out],
    }[command]
    on_disk = contents(service.folder)

    with read_only(service.folder), rights_of_a_plain_user():
        message = refusal(arguments, capfd)

    assert "access is denied" in message
    assert "permissions" in message
    assert contents(service.folder) == on_disk


@pytest.mark.parametrize("command", ["create", "add", "accept"])
def test_full_disk_is_told_and_leaves_all_as_it_was(a_service, command, capfd, monkeypatch):
    arguments = {
        "create": a_service.create(),
        "add": ["add", a_service.project, "--annotated", a_service.write("n.nrrd", voxels(9)),
                a_service.label],
        "accept": accepting(a_service),
    }[command]  # fmt: skip
    # an empty lock may be made; it holds nothing
    before = contents(a_service.folder)
    on_disk = {name: own for name, own in before.items() if not name.endswith(".lock")}

    def refuse(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(atomic_files, "_flush", refuse)
    message = refusal(arguments, capfd)

    assert "the disk is full" in message
    assert "Free some space" in message
    left = contents(a_service.folder)
    assert {name: own for name, own in left.items() if not name.endswith(".lock")} == on_disk
    assert not list(a_service.folder.glob(".creating-*"))


def test_project_that_another_process_has_open_is_left_alone(a_service, capfd):
    lock = a_service.path("project/desk.lock")
    with held_by_another_process(lock) as process:
        on_disk = contents(a_service.folder)
        message = refusal(accepting(a_service), capfd)
        assert contents(a_service.folder) == on_disk
        assert main(["status", a_service.project]) == 0
        assert f"in use by Slicer (process {process.pid} on " in message
    assert main(accepting(a_service)) == 0


def test_working_folder_is_not_replaced_by_a_project(a_service, capfd, tmp_path, monkeypatch):
    (tmp_path / "hearts").mkdir()
    monkeypatch.chdir(tmp_path / "hearts")
    message = refusal(["create", ".", "--annotated", a_service.image, a_service.label], capfd)
    assert "the folder that you are in" in message
    assert Path.cwd() == tmp_path / "hearts"


def test_machines_get_the_error_as_json(a_service, capfd):
    assert main(["status", a_service.new, "--json"]) == 1
    out, err = capfd.readouterr()
    error = json.loads(out)["error"]
    assert error["type"] == "ProjectError"
    assert a_service.new in error["message"]
    assert error["remedy"]
    assert err == ""


# --- odd, but nothing to refuse ---


def test_segmentation_on_another_grid_is_resampled_on_demand_and_said(a_service, capfd):
    other = a_service.write("l.nrrd", labels()[:, ::2, ::2], spacing=(3.0, 3.0, 8.0))
    assert main(a_service.create(None, other)) == 1
    assert "other-grid=resample" in capfd.readouterr().err
    assert main(a_service.create(None, other, "--answer", "other-grid=resample")) == 0
    err = capfd.readouterr().err
    assert "'l.nrrd' has a different grid" in err
    assert "resampled" in err


@pytest.mark.parametrize("name", ["Jörg Müller 日本", "with  spaces", "quote's [and] {more} %s"])
def test_paths_of_any_script_work(a_service, name, capfd):
    folder = a_service.path(name)
    folder.mkdir()
    image = bad.copy_of_image(a_service, f"{name}/Herz 1 ä.nii.gz")
    project = str(folder / "Projekt ü")
    assert main(["create", project, "--annotated", image, a_service.label]) == 0
    assert main(["export", project, str(folder / "out")]) == 0
    assert (folder / "out" / "Herz 1 ä.seg.nrrd").is_file()
    assert f'pseudolabelcl train "{project}"' in capfd.readouterr().out


def test_mark_before_json_is_read_over(a_service):
    path = a_service.path("project/project.json")
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert main(["status", a_service.project]) == 0


def test_table_of_a_german_spreadsheet_works(a_service):
    lines = "ID;Role;Image;Annotation\r\np1;annotated;heart.nii.gz;heart-label.nii.gz\r\n"
    a_service.text("cases.csv", f"{lines}p2;unlabelled;other-1.nii.gz;\r\n", "utf-8-sig")
    assert main(["create", a_service.new, "--table", a_service.table]) == 0
    assert [case.id for case in load_project(Path(a_service.new)).cases] == ["p1", "p2"]


def test_single_picture_can_be_an_unlabelled_case(a_service):
    picture = a_service.write("picture.nrrd", voxels()[2])
    assert main(a_service.create(None, None, "--unlabelled", picture)) == 0
    assert load_project(Path(a_service.new)).slicing_axis_of("picture") == 2


def test_folder_with_everything_gives_only_what_is_not_named_yet(a_service):
    a_service.write("other-1-label.seg.nrrd", labels())
    assert main(a_service.create(None, None, "--unlabelled", str(a_service.folder))) == 0
    roles = {case.id: case.role.value for case in load_project(Path(a_service.new)).cases}
    assert roles == {"heart": "annotated", "other-1": "unlabelled", "other-2": "unlabelled"}


def test_training_without_unlabelled_cases_warns_and_works(a_service, capfd, monkeypatch):
    assert main(a_service.create(None, None, *QUICKEST)) == 0
    with worker_in_this_process(monkeypatch):
        assert main(["train", a_service.new, "--device", "cpu"]) == 0
    assert "no unlabelled case" in capfd.readouterr().err
    assert main(["status", a_service.new]) == 0


def test_image_replaced_on_the_same_grid_is_learned_from_anew(a_service, monkeypatch):
    with worker_in_this_process(monkeypatch):
        assert main(["train", a_service.unreviewed, "--device", "cpu"]) == 0
        slices = a_service.path("unreviewed/preprocessed/other-1/images.npy")
        before = np.load(slices)
        a_service.write("other-1.nii.gz", voxels(1)[::-1])
        assert main(["train", a_service.unreviewed, "--device", "cpu"]) == 0
    # slice by slice the same voxels, with the same percentiles
    np.testing.assert_array_equal(np.load(slices), before[::-1])


# --- the whole way: command line, worker process, protocol ---


@pytest.mark.slow
@pytest.mark.parametrize(
    "id_",
    [
        "bomb in the weights",
        pytest.param("weights of another network", marks=pytest.mark.long),
        pytest.param("prediction exists", marks=pytest.mark.long),
    ],
)
def test_worker_tells_bad_input_over_its_line(a_service, id_):
    make_arguments, *words = KINDS[id_]
    arguments = make_arguments(a_service)
    on_disk = contents(a_service.folder)

    done = subprocess.run(
        [sys.executable, "-m", "PseudoLabelCLLib", *arguments],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip

    assert done.returncode == 1
    assert done.stderr.count("Error: ") == 1
    for word in words:
        assert word in done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert contents(a_service.folder) == on_disk
