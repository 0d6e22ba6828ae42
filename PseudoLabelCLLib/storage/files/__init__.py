"""Files as such: written aside and renamed, read with limits, never through a link."""
