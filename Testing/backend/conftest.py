"""What the tests of the service share: services that end with their test, and a small project."""

import os
import shutil

import pytest
from asking_services import running_services
from own_state import own_state  # noqa: F401 - a fixture of every test
from small_projects import make_project, put_in_review

from PseudoLabelCLLib.process.process_tree import short_waits

# Tests run side by side, so a thread that waits must let go of its core. Said before any test
# imports torch, whose OpenMP library looks here once.
os.environ.update(short_waits(os.environ))

# These take longest and start first; the many short ones then fill the processes to the end.
LONGEST_FILES = (
    "test_crash_safety.py", "test_fault_worker.py", "test_whole_round.py", "test_bad_input.py",
    "test_pretrain.py", "test_verdicts_stateful.py", "test_review_identity.py",
    "test_panel_whole_loop.py", "test_self_test.py", "test_training.py",
)  # fmt: skip


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: item.path.name not in LONGEST_FILES)


@pytest.fixture
def start_service():
    """Starts services and leaves none behind."""
    with running_services() as start_one:
        yield start_one


@pytest.fixture
def a_service(start_service):
    return start_service()


@pytest.fixture(scope="module")
def a_template(tmp_path_factory):
    """One annotated case, "heart", and "other-1", "other-2", before round 0."""
    return make_project(tmp_path_factory.mktemp("template") / "Herz 心")


@pytest.fixture
def a_project(a_template, tmp_path):
    """A copy of the template, with its images beside it."""
    shutil.copytree(a_template.parent, tmp_path, dirs_exist_ok=True)
    return tmp_path / a_template.name


@pytest.fixture
def a_project_in_review(a_project):
    """The same in the review of round 0; other-2 is the more doubtful one."""
    put_in_review(a_project, 0)
    return a_project


@pytest.fixture
def make_pipe():
    """Makes a pipe in a folder, whose other end nobody ever opens."""

    def make(path):
        if not hasattr(os, "mkfifo"):
            pytest.skip("Windows has no pipes in folders")
        os.mkfifo(path)
        return path

    return make
