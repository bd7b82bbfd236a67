"""``python -m oligolearn``: the command, for launchers that take a module, such as ``torchrun -m``."""

from oligolearn.cli import main

if __name__ == "__main__":
    main()
