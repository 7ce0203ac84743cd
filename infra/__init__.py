"""How drumline is put together and run: settings, composition root, servers, command line."""
