"""Holds over the API."""
