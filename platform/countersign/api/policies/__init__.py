"""Policies over the API."""
