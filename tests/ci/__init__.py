"""What `.ci/run` does after `make check`: the tests, the failed ones again, ten minutes of the long ones."""
