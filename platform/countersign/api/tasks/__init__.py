"""Tasks in the API: submit, list, look, steer."""
