"""`python -m alir`: the same as the command `alir`."""

from alir.cli.main import main

if __name__ == "__main__":
    main()
