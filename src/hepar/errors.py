"""The error tree of hepar, and the exit code of each branch.

    HeparError
    |-- Refused    the study cannot be analysed as it is          exit 3
    |-- WrongCall  the command or a function was called wrongly   exit 2
    `-- Fault      hepar broke its own promise                    exit 4

A message says what is wrong, what was found, what is needed and what to do, in one or two sentences.
"""


class HeparError(Exception):
    """Any error that hepar raises on purpose. Its text is meant for the user."""

    exit_code = 4


class Refused(HeparError):
    """The study cannot be analysed: its data are missing, contradictory or unsupported."""

    exit_code = 3


class WrongCall(HeparError):
    """The user or the calling program asked for something that does not exist or cannot be."""

    exit_code = 2


class Fault(HeparError):
    """hepar found that it broke a promise of its own; nothing is delivered."""

    exit_code = 4
