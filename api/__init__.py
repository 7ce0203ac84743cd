"""The REST API: it sends commands and asks read models, and never loads an aggregate."""
