"""Texts that would be code, and the places where pages show what others wrote."""
