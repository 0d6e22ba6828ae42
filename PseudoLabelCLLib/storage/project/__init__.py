"""The project folder: where its files lie, how they are read, written, locked and signed."""
