"""The trace of a task: what ran when, how long, for how much; made from rows alone."""
