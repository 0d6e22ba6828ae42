"""Phantoms: synthetic hearts to try the program on."""
