"""What every process of ours has to do with the machine it runs on."""
