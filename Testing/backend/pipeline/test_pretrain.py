"""Pre-training of a project: alone, before round 0, cancelled and resumed, and from the shell."""

import json
import math
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from a_service import QUICKEST, copied_service, worker_in_this_process, write_service
from learning_doubles import (
    CPU,
    SCHEMA,
    Listener,
    grid,
    make_generator,
    phantom_slices,
    training_config,
)
from small_projects import add_case

from PseudoLabelCLLib.command_line.main import main
from PseudoLabelCLLib.curation.review.plan_round import plan_next_round
from PseudoLabelCLLib.domain.case import CaseRole
from PseudoLabelCLLib.domain.config import Profile, PseudoLabelConfig
from PseudoLabelCLLib.domain.errors import (
    ProjectDamagedError,
    ProjectInUseError,
    ProjectNewerError,
    TrainingError,
)
from PseudoLabelCLLib.domain.network_config import NetworkConfig
from PseudoLabelCLLib.domain.pretraining_config import (
    GlobalLocalConfig,
    MaskedConfig,
    PositionalConfig,
    Pretraining,
    PretrainingConfig,
)
from PseudoLabelCLLib.domain.profiles import config_for
from PseudoLabelCLLib.domain.project import Project
from PseudoLabelCLLib.domain.question import KeptAnswer
from PseudoLabelCLLib.domain.question_kinds import QuestionKind
from PseudoLabelCLLib.domain.reporting import Cancelled
from PseudoLabelCLLib.domain.text import Text
from PseudoLabelCLLib.domain.volume import LabelVolume, Volume
from PseudoLabelCLLib.learning.device import ComputeDevice
from PseudoLabelCLLib.learning.networks.network import SegmentationNetwork
from PseudoLabelCLLib.learning.optimizer_step import HalfDoneStepError
from PseudoLabelCLLib.learning.pretraining import pretraining as pretraining_module
from PseudoLabelCLLib.learning.pretraining.pretraining import GlobalStage
from PseudoLabelCLLib.learning.tensor_files import read_tensor_file
from PseudoLabelCLLib.messages.jobs import DeviceChoice, PretrainJob
from PseudoLabelCLLib.pipeline.rounds import pretrain as pretrain_module
from PseudoLabelCLLib.pipeline.rounds.initial_network import initial_network
from PseudoLabelCLLib.pipeline.rounds.pretrain import pretrain, pretrain_if_needed
from PseudoLabelCLLib.pipeline.rounds.round_data import RoundInputs
from PseudoLabelCLLib.pipeline.rounds.run_round import run_round
from PseudoLabelCLLib.pipeline.run_job import run_job
from PseudoLabelCLLib.pipeline.slices.case_slices import preprocess_plan
from PseudoLabelCLLib.process.job_files import new_job_id, write_job
from PseudoLabelCLLib.storage.project.pretraining_record import (
    pretraining_settings,
    read_pretraining,
)
from PseudoLabelCLLib.storage.project.project_layout import ProjectLayout
from PseudoLabelCLLib.storage.project.project_lock import project_lock
from PseudoLabelCLLib.storage.project.project_store import create_project, load_project, save_cases
from PseudoLabelCLLib.storage.segmentation_io import write_segmentation
from PseudoLabelCLLib.storage.volume_io import write_volume

pytestmark = pytest.mark.slow

GLOBAL_LOCAL = PretrainingConfig(
    Pretraining.GLOBAL_LOCAL, GlobalLocalConfig(global_steps=6, local_steps=4)
)
POSITIONAL = PretrainingConfig(
    Pretraining.POSITIONAL, positional=PositionalConfig(num_steps=6, batch_size=4)
)
MASKED = PretrainingConfig(Pretraining.MASKED, masked=MaskedConfig(num_steps=6, batch_size=4))
ENCODER, DECODER = "Pre-training: encoder", "Pre-training: decoder"
CASES = {
    "truth": (CaseRole.ANNOTATED, 5),
    "held out": (CaseRole.VALIDATION, 5),
    "plain": (CaseRole.UNLABELLED, 6),
    "long": (CaseRole.UNLABELLED, 9),
    "short": (CaseRole.UNLABELLED, 3),
    "ignored": (CaseRole.IGNORED, 5),
}


def config_with(pretraining):
    quick = config_for(Profile.QUICK)
    return replace(
        quick,
        preprocess=replace(quick.preprocess, in_plane_spacing_mm=1.5, window_size=(32, 32)),
        network=NetworkConfig(widths=(4,) * 6, embedding_size=4),
        training=training_config(num_steps=2, batch_size=2),
        pseudo_label=PseudoLabelConfig(num_augmented_copies=2),
        pretraining=pretraining,
    )


def add_phantom(root, project, name, role, num_slices):
    geometry = grid((32, 32, num_slices), (1.5, 1.5, 6.0))
    slices = phantom_slices(num_slices, (32, 32), seed=len(name))
    image, segmentation = (root.parent / f"{name}{end}" for end in (".nrrd", ".seg.nrrd"))
    write_volume(image, Volume((1000 * slices.images[:, 0]).astype(np.float32), geometry))
    labels = np.array((0, *SCHEMA.values), np.int16)[slices.classes]
    write_segmentation(segmentation, LabelVolume(labels, geometry), SCHEMA)
    annotation = segmentation if role.needs_annotation else None
    return add_case(root, project, name, role, image, annotation)[0]


@pytest.fixture(scope="module")
def a_template(tmp_path_factory):
    folder = tmp_path_factory.mktemp("template")
    root = folder / "project"
    project = Project("phantoms", SCHEMA, config_with(GLOBAL_LOCAL))
    create_project(root, project)
    for name, (role, num_slices) in CASES.items():
        project = add_phantom(root, project, name, role, num_slices)
    return folder


@pytest.fixture
def make_root(a_template, tmp_path):
    """Return the folder of a new project with these settings of pre-training."""

    def make(pretraining=GLOBAL_LOCAL, name="a"):
        shutil.copytree(a_template, tmp_path / name)
        root = tmp_path / name / "project"
        change(root, pretraining)
        return root

    return make


def change(root, pretraining):
    save_cases(root, replace(load_project(root), config=config_with(pretraining)))


def run(root, listener=None, device=CPU):
    listener = listener or Listener()
    project = load_project(root)
    record = pretrain(root, project, preprocess_plan(root, project), device, listener)
    return record, listener


def need(root):
    listener = Listener()
    project = load_project(root)
    pretrain_if_needed(root, project, preprocess_plan(root, project), CPU, listener)
    return listener


def weights_of(root):
    return read_tensor_file(ProjectLayout(root).pretrained_weights, torch.device("cpu"))


def assert_same_weights(one, other):
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)


def words(listener):
    return " ".join(text for text, _ in listener.notices)


# --- alone ---


def test_volumes_without_validation_and_ignored_ones_take_part(make_root):
    record, listener = run(make_root())
    assert record.cases == ("truth", "plain", "long", "short")
    assert record.left_out == ("short",)
    (told,) = [text for text, warning in listener.notices if warning and "left out" in text]
    assert "short" in told
    assert "4 parts" in told


def test_record_tells_steps_losses_and_curve(make_root):
    root = make_root()
    record, listener = run(root)
    assert read_pretraining(root) == record
    assert [(stage.name, stage.num_steps) for stage in record.stages] == [
        ("global", 6), ("local", 4),
    ]  # fmt: skip
    assert [point.step for point in record.curve] == [6, 10]
    values = {stage: value for stage, _, value in listener.values}
    assert values[ENCODER] == {"global": record.stages[0].last_loss}
    assert values[DECODER] == {"local": record.stages[1].last_loss}
    steps = [(step, of) for stage, step, of in listener.steps if stage == ENCODER]
    assert steps == [(n, 6) for n in range(1, 7)]
    assert listener.artifacts == [("pretraining", ProjectLayout(root).pretraining_record)]
    assert not ProjectLayout(root).pretraining_checkpoint.exists()


@pytest.mark.parametrize("method", [GLOBAL_LOCAL, POSITIONAL, MASKED])
def test_same_seed_gives_the_same_weights(make_root, method):
    roots = [make_root(method, name) for name in ("a", "b")]
    for root in roots:
        run(root)
    assert_same_weights(*(weights_of(root) for root in roots))


@pytest.mark.parametrize(
    ("method", "stage", "step"),
    [
        (GLOBAL_LOCAL, ENCODER, 3),
        (GLOBAL_LOCAL, ENCODER, 6),
        (GLOBAL_LOCAL, DECODER, 3),
        (POSITIONAL, "Pre-training: encoder by position", 5),
        (MASKED, "Pre-training: masked images", 4),
    ],
)
def test_cancelled_and_resumed_equals_uninterrupted(make_root, method, stage, step):
    whole, parts = make_root(method, "whole"), make_root(method, "parts")
    record, _ = run(whole)
    with pytest.raises(Cancelled):
        run(parts, Listener(stage, step))
    assert read_pretraining(parts) is None
    resumed, listener = run(parts)
    assert f"{stage} continues after step {step}." in words(listener)
    assert_same_weights(weights_of(whole), weights_of(parts))
    assert (resumed.stages, resumed.curve) == (record.stages, record.curve)


def test_kill_before_the_record_costs_no_step(make_root, monkeypatch):
    whole, killed = make_root(name="whole"), make_root(name="killed")
    run(whole)

    def kill(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(pretrain_module, "write_pretraining", kill)
        with pytest.raises(KeyboardInterrupt):
            run(killed)
    assert read_pretraining(killed) is None  # weights without a record are none
    record, listener = run(killed)
    assert {stage for stage, _, _ in listener.steps} == {"Pre-training: reading volumes"}
    assert record == replace(
        read_pretraining(whole), duration_s=record.duration_s, finished=record.finished
    )
    assert_same_weights(weights_of(whole), weights_of(killed))


def test_damaged_checkpoint_is_told(make_root):
    root = make_root()
    with pytest.raises(Cancelled):
        run(root, Listener(ENCODER, 3))
    ProjectLayout(root).pretraining_checkpoint.write_bytes(b"half of a file")
    with pytest.raises(ProjectDamagedError, match="Delete the folder 'pretraining'"):
        run(root)


def test_interrupted_one_starts_again_when_settings_changed(make_root):
    root = make_root()
    with pytest.raises(Cancelled):
        run(root, Listener(ENCODER, 3))
    longer = replace(GLOBAL_LOCAL.global_local, global_steps=7)
    change(root, replace(GLOBAL_LOCAL, global_local=longer))
    record, listener = run(root)
    assert "starts again" in words(listener)
    assert record.stages[0].num_steps == 7


def test_too_few_volumes_are_told(make_root):
    root = make_root()
    project = load_project(root)
    kept = ("truth", "short")
    save_cases(
        root,
        replace(project, cases=tuple(case for case in project.cases if case.id in kept)),
    )
    with pytest.raises(TrainingError, match=r"needs 2 volumes .* there is 1 \(short cannot"):
        run(root)
    change(root, POSITIONAL)
    assert run(root)[0].cases == kept  # positions need no parts


def test_no_segmentation_is_needed(make_root):
    root = make_root()
    project = load_project(root)
    unlabelled = project.cases_with_role(CaseRole.UNLABELLED)
    save_cases(root, replace(project, cases=unlabelled))
    assert run(root)[0].cases == ("plain", "long", "short")


def test_collapse_is_told(make_root, monkeypatch):
    root = make_root(POSITIONAL)
    monkeypatch.setattr(
        pretrain_module.PretrainingStage, "embed", lambda _, features: features.mean((2, 3)) * 0
    )
    monkeypatch.setattr(
        "PseudoLabelCLLib.learning.pretraining.pretraining.PretrainingStage.encode",
        lambda stage, views: [views * next(iter(stage.network.parameters())).mean()],
    )
    _, listener = run(root)
    assert any("learned nothing" in text and warning for text, warning in listener.notices)


@pytest.fixture
def small(monkeypatch):
    """A GPU whose memory is small."""
    small = ComputeDevice("cuda", "small GPU", Text("chosen by the test"), half_precision=False)
    monkeypatch.setattr(ComputeDevice, "torch_device", property(lambda _: torch.device("cpu")))
    monkeypatch.setattr(ComputeDevice, "place", lambda *_: None)
    monkeypatch.setattr(ComputeDevice, "autocast", lambda _: torch.autocast("cpu", enabled=False))
    monkeypatch.setattr(pretrain_module, "choose_device", lambda _: CPU)
    return small


def test_memory_too_small_goes_on_on_the_cpu(make_root, monkeypatch, small):
    short = make_root(name="short of memory")
    draw = GlobalStage.loss

    def crowded(stage):
        if stage.device is small and stage.step == 2:
            draw(stage)
            raise torch.OutOfMemoryError("no memory left, says the test")
        return draw(stage)

    monkeypatch.setattr(GlobalStage, "loss", crowded)
    record, listener = run(short, device=small)
    assert "small GPU is too small" in words(listener)
    assert record.device == "a CPU"
    assert record.stages[0].num_steps == 6


def test_weights_between_two_steps_are_not_kept(make_root, monkeypatch, small):
    short, steps = make_root(name="short of memory"), []

    def interrupted(optimizer):
        steps.append(1)
        if len(steps) == 3:
            for group in optimizer.param_groups:
                for weight in group["params"]:
                    weight.data.fill_(torch.nan)
            raise HalfDoneStepError("no memory left, says the test")
        optimizer.step()

    monkeypatch.setattr(pretraining_module, "take_step", interrupted)
    record, listener = run(short, device=small)
    assert "small GPU is too small" in words(listener)
    assert record.device == "a CPU"
    assert all(math.isfinite(stage.last_loss) for stage in record.stages)


def test_turned_volumes_are_counted_from_the_other_end(make_root, monkeypatch):
    root = make_root(POSITIONAL)
    project = load_project(root)
    upside_down = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, -1.0)
    image = root.parent / "turned.nrrd"
    slices = phantom_slices(5, (32, 32), seed=3)
    geometry = grid((32, 32, 5), (1.5, 1.5, 6.0), direction=upside_down)
    write_volume(image, Volume(slices.images[:, 0], geometry))
    add_case(root, project, "turned", CaseRole.UNLABELLED, image, None)
    record, listener = run(root)
    assert record.turned == ("turned",)
    assert "run in the opposite direction" in words(listener)
    assert "turned" in words(listener)
    # so are the parts that global contrast compares
    change(root, GLOBAL_LOCAL)
    record, listener = run(root)
    assert record.turned == ("turned",)
    assert "counted from the other end" in words(listener)
    # what a person answered counts before the header
    project = load_project(root)
    stored = KeptAnswer(QuestionKind.SLICE_ORDER, "as-stored", "")
    save_cases(root, project.with_case(project.case("turned").with_answers([stored])))
    assert run(root)[0].turned == ()


# --- reuse ---


def test_finished_one_is_reused(make_root):
    root = make_root()
    run(root)
    before = ProjectLayout(root).pretrained_weights.stat().st_mtime_ns
    listener = need(root)
    assert listener.steps == []
    assert "Round 0 starts from this: Pre-training 'global+local' on 4 volumes" in words(listener)
    assert ProjectLayout(root).pretrained_weights.stat().st_mtime_ns == before


def test_changed_settings_do_it_anew(make_root):
    root = make_root()
    run(root)
    change(root, POSITIONAL)
    assert "changed since it was done" in words(need(root))
    assert read_pretraining(root).settings.config.method is Pretraining.POSITIONAL


def test_settings_of_another_method_do_not_matter(make_root):
    root = make_root()
    run(root)
    change(root, replace(GLOBAL_LOCAL, positional=PositionalConfig(num_steps=99)))
    assert need(root).steps == []


def test_changed_cases_are_told_and_it_is_reused(make_root):
    root = make_root()
    run(root)
    add_phantom(root, load_project(root), "late", CaseRole.UNLABELLED, 5)
    listener = need(root)
    assert listener.steps == []
    assert "reused although the cases changed since" in words(listener)


def test_changed_grid_is_told_and_weights_still_load(make_root):
    root = make_root()
    run(root)
    project = load_project(root)
    wider = replace(project.config.preprocess, window_size=(64, 64))
    save_cases(root, replace(project, config=replace(project.config, preprocess=wider)))
    assert "although the network's grid changed" in words(need(root))


def test_no_method_needs_nothing(make_root):
    root = make_root(PretrainingConfig())
    assert need(root).steps == []
    with pytest.raises(TrainingError, match=r"pretraining\.method="):
        run(root)


def test_damaged_and_newer_records_are_told(make_root):
    root = make_root()
    run(root)
    path = ProjectLayout(root).pretraining_record
    content = json.loads(path.read_text())
    path.write_text(json.dumps(content | {"schema_version": 99}))
    with pytest.raises(ProjectNewerError, match="newer version"):
        read_pretraining(root)
    path.write_text(json.dumps(content | {"cases": 3}))
    with pytest.raises(ProjectDamagedError, match="Delete the folder 'pretraining'"):
        read_pretraining(root)


# --- round 0 ---


def inputs_of(root):
    project = load_project(root)
    return RoundInputs(
        root, project, plan_next_round(project), preprocess_plan(root, project),
        project.config.training,
    )  # fmt: skip


def test_round_0_begins_with_the_transfer_and_random_weights_elsewhere(make_root):
    root = make_root()
    run(root)
    inputs = inputs_of(root)
    network = initial_network(inputs, seed=5)
    random = SegmentationNetwork(
        inputs.project.config.network, inputs.project.schema.num_classes, make_generator(5)
    )
    taken = weights_of(root)
    assert len(taken) > 0
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor, taken.get(name, random.state_dict()[name])), name
    assert not any("running" in name for name in taken)


def test_lost_weights_are_done_anew(make_root):
    root = make_root()
    run(root)
    ProjectLayout(root).pretrained_weights.unlink()
    assert len(need(root).steps) > 0


def test_train_pretrains_first_and_its_report_says_so(make_root):
    root = make_root()
    listener = Listener()
    project = run_round(root, load_project(root), CPU, listener)
    stages = list(dict.fromkeys(stage for stage, _, _ in listener.steps))
    assert stages.index(ENCODER) < stages.index(DECODER) < stages.index("Round 0: training")
    record = read_pretraining(root)
    page = ProjectLayout(root).report(0).read_text("utf-8")
    assert "<h2>Pre-training</h2>" in page
    assert f"{record.stages[0].last_loss:.3f}" in page
    assert "Pre-training loss: local" in page

    run_round(root, project, CPU, Listener())
    assert "<h2>Pre-training</h2>" not in ProjectLayout(root).report(1).read_text("utf-8")
    with pytest.raises(TrainingError, match="Round 0 is trained already"):
        run_job(PretrainJob(str(root), DeviceChoice.CPU), Listener())


def test_round_cancelled_while_pretraining_goes_on_there(make_root):
    root = make_root()
    with pytest.raises(Cancelled):
        run_round(root, load_project(root), CPU, Listener(DECODER, 2))
    listener = Listener()
    run_round(root, load_project(root), CPU, listener)
    assert (ENCODER, 6, 6) not in listener.steps
    assert f"{DECODER} continues after step 2." in words(listener)


# --- the job ---


def test_two_workers_do_not_write_at_once(make_root):
    root = make_root()
    with (
        project_lock(ProjectLayout(root).worker_lock, "a training"),
        pytest.raises(ProjectInUseError, match="a training"),
    ):
        run_job(PretrainJob(str(root), DeviceChoice.CPU), Listener())


def test_worker_reads_the_job(tmp_path):
    job = PretrainJob("/somewhere", DeviceChoice.CPU)
    assert json.loads(write_job(tmp_path / new_job_id(job), job).read_text())["kind"] == "pretrain"


def test_command_line_pretrains_then_trains(tmp_path_factory, tmp_path, monkeypatch, capfd):
    service = copied_service(
        write_service(tmp_path_factory.mktemp("service")), tmp_path / "service"
    )
    others = [str(service.path(f"other-{n}.nii.gz")) for n in (1, 2)]
    steps = [
        "--set", "pretraining.global_local.global_steps=3",
        "--set", "pretraining.global_local.local_steps=2",
    ]  # fmt: skip
    created = service.create(None, None, "--unlabelled", *others, *QUICKEST, *steps)
    assert main([*created, "--pretraining", "global+local"]) == 0
    assert pretraining_settings(load_project(tmp_path / "service" / "new")).config.method.value == (
        "global+local"
    )
    assert main(["status", service.new]) == 0
    assert "Pre-training 'global+local' runs before round 0" in capfd.readouterr().out
    with worker_in_this_process(monkeypatch):
        assert main(["pretrain", service.new, "--device", "cpu"]) == 0
        told = capfd.readouterr().out
        assert "global loss" in told
        assert "Next: pseudolabelcl train" in told
        assert main(["pretrain", service.new, "--device", "cpu", "--json"]) == 0
        out = capfd.readouterr().out
        assert json.loads(out[out.index("{") :])["steps"] == 5
        assert main(["train", service.new, "--device", "cpu"]) == 0
        assert "Round 0 starts from this: Pre-training" in capfd.readouterr().out
    assert main(["status", service.new, "--json"]) == 0
    assert json.loads(capfd.readouterr().out)["pretraining"] == {
        "method": "global+local", "is_done": True, "volumes": 3,
    }  # fmt: skip


def test_unknown_pretraining_is_refused(capfd):
    with pytest.raises(SystemExit):
        main(["create", "somewhere", "--pretraining", "magic"])
    assert (
        "'magic' is not a valid method; choose one of none, global+local, positional, masked"
        in capfd.readouterr().err
    )
