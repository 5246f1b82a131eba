"""Where agents touch files: git, workspaces, sandbox, checks, claims and the tool server."""
