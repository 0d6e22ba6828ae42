"""Asking a service from a test: what it says until a request is answered, and what it must say."""

import sys
import time
from contextlib import contextmanager

from PseudoLabelCLLib.messages import requests as ask
from PseudoLabelCLLib.messages.service_messages import Answered, Refused
from PseudoLabelCLLib.process.service_process import ServiceProcess

# A service starts in 0.2 s here; a machine under full load may take a hundred times that.
PATIENCE_S = 30.0


@contextmanager
def running_services():
    """Give a function that starts services; none is left behind."""
    services = []

    def start(python=sys.executable, *arguments, **options):
        services.append(ServiceProcess.start(python, *arguments, **options))
        return services[-1]

    yield start
    for service in services:
        service.kill()
        service.close()


def events_until(service, is_last):
    """All events up to the first one that `is_last` is true for."""
    events = []
    until_s = time.monotonic() + PATIENCE_S
    while not (events and is_last(events[-1])):
        assert time.monotonic() < until_s, events
        events += service.poll()
        time.sleep(0.005)
    return events


def answers_to(service, number):
    """All events up to the answer to a request."""
    return events_until(service, lambda e: isinstance(e, Answered | Refused) and e.to == number)


def answer(service, request):
    """The answer to a request that must be done."""
    ending = answers_to(service, service.ask(request))[-1]
    assert isinstance(ending, Answered), ending
    return ending.answer


def shown(service, *case_ids):
    """The identities of the newest proposals of cases, as a view names them."""
    view = answer(service, ask.Refresh())
    return tuple(view.case(case_id).proposal for case_id in case_ids)


def refusal(service, request):
    """The refusal of a request that must be refused in words for a person."""
    ending = answers_to(service, service.ask(request))[-1]
    assert isinstance(ending, Refused), ending
    assert ending.error_type != "InternalError", ending
    assert ending.message.endswith((".", "?"))
    return ending


def opened(service, root):
    """The view of a project that the service opens."""
    return answer(service, ask.OpenProject(str(root)))
