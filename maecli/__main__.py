"""`python -m maecli` is `mae`."""

import os
import signal
import sys

if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # until `main` is there to say a line

if not sys.flags.safe_path and sys.path[0] in ("", os.getcwd()):  # noqa: PTH109
    del sys.path[0]  # Python's doing for -m: modules and plugins that lie in somebody's folder are not ours to import

from maecli.cli import main

main()
