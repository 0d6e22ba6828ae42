"""The project of the panel: opened, closed, and the computer it is on."""
