"""Attacks: what one tenant, page or file does must not cost anybody else."""
