"""`python -m tests.ci make test`, from `.ci/run`: what follows is the command that runs the tests."""

import signal
import sys

from tests.ci.ci import CI
from tests.ci.run import make

INTERRUPTED = 128 + signal.SIGINT


def main(command: list[str]) -> int:
    for sign in (signal.SIGINT, signal.SIGTERM):  # a shell starts what is in its background with SIGINT ignored
        signal.signal(sign, signal.default_int_handler)  # whoever ends us also ends the tests
    try:
        return CI(lambda seconds: make(command, seconds)).run()
    except KeyboardInterrupt:
        return INTERRUPTED


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
