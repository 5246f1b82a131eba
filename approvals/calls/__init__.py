"""Calls of tools outside that agents ask for: sealed, decided by a person, made exactly once."""
