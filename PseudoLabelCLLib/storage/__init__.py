"""Files: reading and writing, every file written aside and renamed; no torch."""
