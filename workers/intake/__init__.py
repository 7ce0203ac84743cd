"""What stands between COMMANDS and the deciding of commands: rates, turns of the workspaces, and trimming."""
