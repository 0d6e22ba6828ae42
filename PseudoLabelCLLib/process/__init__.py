"""Child processes, started, heard and ended: worker, project service, probe; no torch."""
