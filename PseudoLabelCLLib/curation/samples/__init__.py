"""Phantoms: made-up hearts to try the program on."""
