"""`python -m maecli` is `mae`."""

from maecli.cli import main

main()
