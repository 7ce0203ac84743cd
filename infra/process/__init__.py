"""What has to do with processes of ours: who looks after them, and what they said when they ended."""
