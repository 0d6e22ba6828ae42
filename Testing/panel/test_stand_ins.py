"""The stand-ins behave as PythonQt was seen to behave inside the running application."""

import pytest


@pytest.fixture
def qt(app):
    import qt  # noqa: PLC0415 - the stand-in exists once the application does

    return qt


def test_a_property_is_a_value_and_cannot_be_called(a_panel):
    assert a_panel.ui.editButton.text == "Edit"
    with pytest.raises(TypeError, match="'str' object is not callable"):
        a_panel.ui.editButton.text()


def test_a_name_that_slicer_lacks_raises(a_panel):
    with pytest.raises(AttributeError):
        a_panel.ui.trainButton.labelText  # noqa: B018 - reading it is the test
    with pytest.raises(AttributeError):
        a_panel.ui.trainButton.tooltip = "written as Qt does not"


def test_connecting_tells_whether_the_signal_exists(a_panel):
    heard = []
    assert a_panel.ui.trainButton.connect("clicked(bool)", heard.append) is True
    assert a_panel.ui.trainButton.connect("clicked(int)", heard.append) is False
    a_panel.widget("trainButton").setEnabled(True)
    a_panel.widget("trainButton").click()
    assert heard == [False]


def test_enums_are_flat_integers(qt):
    assert qt.Qt.UserRole == 256
    assert qt.Qt.CustomContextMenu == 3


def test_a_slot_that_is_disconnected_is_silent(a_panel):
    heard = []
    button = a_panel.ui.checkButton
    button.connect("clicked(bool)", heard.append)
    assert button.disconnect("clicked(bool)", heard.append)
    a_panel.widget("checkButton").setEnabled(True)
    a_panel.widget("checkButton").click()
    assert heard == []
