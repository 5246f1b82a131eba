"""Admin pages that need more than one floor."""
