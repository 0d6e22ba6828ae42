"""A computer that slept while another one took its project over writes nothing more there."""

import pytest

from PseudoLabelCLLib.domain.errors import ProjectGoneError
from PseudoLabelCLLib.project_service.project_session import ProjectSession
from PseudoLabelCLLib.storage.project.project_layout import ProjectLayout


@pytest.fixture
def a_session(a_project):
    session = ProjectSession()
    session.open(a_project)
    yield session
    session.close()


def test_project_that_another_computer_took_over_is_refused(a_session, a_project):
    lock = ProjectLayout(a_project).lock
    words = lock.read_bytes()
    lock.write_bytes(words.replace(b'"token": "', b'"token": "another'))
    for _ in range(2):
        with pytest.raises(ProjectGoneError) as refused:
            a_session.project()
    assert "opened on another computer while this one was asleep" in refused.value.message
    assert "open it again here" in refused.value.remedy


def test_project_that_was_taken_over_can_be_opened_again(a_session, a_project):
    lock = ProjectLayout(a_project).lock
    words = lock.read_bytes()
    lock.write_bytes(words.replace(b'"token": "', b'"token": "another'))
    with pytest.raises(ProjectGoneError):
        a_session.project()
    lock.write_bytes(b"")  # the other computer has closed it
    a_session.open(a_project)
    assert a_session.project().name
    assert lock.read_bytes() != words
