"""What a user interface asks of the project service, the process that reads and changes a project.

Paths are absolute. A request that cannot be done is answered by a `Refused` and has changed nothing
on disk. The module in which a request stands bears the name of the one with its handler.
"""

from PseudoLabelCLLib.messages.requests.cases import *  # noqa: F403 - each new request, too
from PseudoLabelCLLib.messages.requests.dicom import *  # noqa: F403 - see above
from PseudoLabelCLLib.messages.requests.project import *  # noqa: F403 - see above
from PseudoLabelCLLib.messages.requests.request import *  # noqa: F403 - see above
from PseudoLabelCLLib.messages.requests.results import *  # noqa: F403 - see above
from PseudoLabelCLLib.messages.requests.review import *  # noqa: F403 - see above
