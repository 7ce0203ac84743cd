"""What runs: intake, relay, projector, reactors, timers, dispatch and sessions."""
