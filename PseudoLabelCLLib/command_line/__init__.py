"""The command line, a user interface like any other: it starts workers and shows events."""
