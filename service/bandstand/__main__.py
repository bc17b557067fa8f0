"""`python -m bandstand`: the command line, where its script is on no path."""

from bandstand.commands.cli import main

if __name__ == "__main__":
    main()
