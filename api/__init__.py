"""HTTP: routers that translate requests into commands and projection queries. They decide nothing."""
