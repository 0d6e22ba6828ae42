"""The project service: reads and changes a project for a user interface, without torch."""
