"""The project service: a process without torch that reads and changes a project for a user interface."""
