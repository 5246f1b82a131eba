"""Calls of tools that need permission, over the API."""
