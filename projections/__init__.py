"""What questions are answered from: read models folded from the log."""
