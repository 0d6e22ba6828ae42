"""The report of a round: one web page that works offline."""
