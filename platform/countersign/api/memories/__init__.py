"""Memory in the API: list, edit, forget, search."""
