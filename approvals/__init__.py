"""Sealing, deciding and carrying out."""
