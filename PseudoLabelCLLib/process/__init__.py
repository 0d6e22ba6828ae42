"""The bridge between a user interface and its worker; no torch."""
