"""Whether the servers that drumline is to use are there, and are what it needs: each fault in one sentence."""
