"""What the business says. Standard library only: no clock, no random, no I/O."""
