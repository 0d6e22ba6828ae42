"""Which segment is which structure: names, terms, values."""
