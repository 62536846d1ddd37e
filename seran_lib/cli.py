"""The one door: `seran COMMAND ...`, which is also `python -m seran_lib COMMAND ...`.

What a command does is imported only when its words are known and right: help and typing errors need neither torch nor
pandas.
"""

import argparse
import difflib
import importlib
import os
import sqlite3
import sys

from seran_lib import paths
from seran_lib.commands.words import WRONG, Parser, parser
from seran_lib.errors import CheckpointError, DataError

OK, FAILED, INTERRUPTED = 0, 1, 130


def main(arguments: list[str] | None = None) -> int:
    """Do what one command line asks for.

    Returns 0; or, with one line on stderr, 1 where it could not be done, 2 where the question was wrong, and 130 after
    Ctrl-C.
    """
    try:
        options, unknown = parser().parse_known_args(arguments)
        if unknown:
            options.parser.error(_not_known(unknown[0], options.parser))
    except SystemExit as stop:
        return int(stop.code or OK)
    if "handler" not in options:
        options.parser.print_help()
        return WRONG
    return _do(options)


def _not_known(word: str, asked: Parser) -> str:
    near = difflib.get_close_matches(word.partition("=")[0], asked.words(), n=1)
    return f"unknown word {word!r}" + (f", did you mean {near[0]}?" if near else "") + f" See {asked.prog} --help"


def _do(options: argparse.Namespace) -> int:
    """Import and call the handler; every error that a user can act on becomes a line and an exit code."""
    name = options.parser.prog
    module, function = options.handler.split(":")
    try:
        if options.parser.get_default("in_clone") and not paths.in_clone():
            raise DataError(paths.NO_CLONE)
        return getattr(importlib.import_module(f"seran_lib.commands.{module}"), function)(options)
    except KeyboardInterrupt:
        return _say(name, "interrupted. Give the same command again to resume", INTERRUPTED)
    except (DataError, CheckpointError, FloatingPointError, MemoryError) as error:
        return _say(name, error, FAILED)
    except ValueError as error:
        return _say(name, error, WRONG)
    except BrokenPipeError:  # whoever read the answer has seen enough, such as `head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except (OSError, sqlite3.OperationalError) as error:
        from requests import RequestException  # slow to import, and seldom needed

        if isinstance(error, RequestException):
            cure = "Look at the network and the address, then give the same command again"
            return _say(name, f"the service cannot be reached ({type(error).__name__}). {cure}", FAILED)
        where = f"{options.folder} cannot be read or written: " if "folder" in options else ""
        return _say(name, f"{where}{error}", FAILED)


def _say(name: str, message: object, code: int) -> int:
    print(f"{name}: {message}", file=sys.stderr)
    return code
