"""What a worker's exit code says to whoever starts it again."""

ENDED = 70  # a loop ended by itself
STALLED = 71  # a loop did not go round any more: the watchdog ended the process
UNDECLARED = 72  # a stream or its consumer is missing
