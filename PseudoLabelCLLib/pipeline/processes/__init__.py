"""One job done by several processes: what the first asks of the others, and who takes what."""
