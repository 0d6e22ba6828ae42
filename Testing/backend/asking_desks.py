"""Asking a desk from a test: what it says until a request is answered, and what it must say."""

import sys
import time
from contextlib import contextmanager

from PseudoLabelCLLib.domain import desk_requests as ask
from PseudoLabelCLLib.process.desk_process import DeskProcess
from PseudoLabelCLLib.process.desk_protocol import Answered, Refused

# A desk starts in 0.2 s here; a machine under full load may take a hundred times that.
PATIENCE_S = 30.0


@contextmanager
def running_desks():
    """Give a function that starts desks; none is left behind."""
    desks = []

    def start(python=sys.executable, *arguments, **options):
        desks.append(DeskProcess.start(python, *arguments, **options))
        return desks[-1]

    yield start
    for desk in desks:
        desk.kill()
        desk.close()


def events_until(desk, is_last):
    """All events up to the first one that `is_last` is true for."""
    events = []
    until_s = time.monotonic() + PATIENCE_S
    while not (events and is_last(events[-1])):
        assert time.monotonic() < until_s, events
        events += desk.poll()
        time.sleep(0.005)
    return events


def answers_to(desk, number):
    """All events up to the answer to a request."""
    return events_until(desk, lambda e: isinstance(e, Answered | Refused) and e.to == number)


def answer(desk, request):
    """What a request that must be met is answered with."""
    ending = answers_to(desk, desk.ask(request))[-1]
    assert isinstance(ending, Answered), ending
    return ending.answer


def shown(desk, *case_ids):
    """The identities of the newest proposals of cases, as a view names them."""
    view = answer(desk, ask.Refresh())
    return tuple(view.case(case_id).proposal for case_id in case_ids)


def refusal(desk, request):
    """The refusal of a request that must be refused in words for a person."""
    ending = answers_to(desk, desk.ask(request))[-1]
    assert isinstance(ending, Refused), ending
    assert ending.error_type != "InternalError", ending
    assert ending.message.endswith((".", "?"))
    return ending


def opened(desk, root):
    """The view of a project that the desk opens."""
    return answer(desk, ask.OpenProject(str(root)))
