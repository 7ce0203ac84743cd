"""Read models: folded from the log, asked by the API."""
