"""`python -m wholeframe` is `wholeframe`."""

from wholeframe.cli import main

if __name__ == "__main__":
    main()
