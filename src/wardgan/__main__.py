"""`python -m wardgan`: the command line."""

from wardgan.cli.main import main

main()
