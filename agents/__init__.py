"""Tasks, steps and the agents that do them."""
