"""Where Django looks for the admin of the roof."""

from countersign.administration import projects

__all__ = ["projects"]
