"""What travels between the processes, typed, and its one JSON form."""
