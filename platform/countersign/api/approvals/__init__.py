"""Approvals in the API: the sealed snapshot, signing, undoing."""
