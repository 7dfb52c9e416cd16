"""How the command line reports bad input: exit code 2 and one clear line, a traceback only when asked for."""

from __future__ import annotations

import os
import sys
import traceback
from typing import Any

import typer
from typer.core import TyperGroup

__all__ = ["EXIT_BAD_INPUT", "OneLineErrors", "describe_bad_input"]

EXIT_BAD_INPUT = 2
_DEBUG = "RABLIP_DEBUG"
_MAX_CHARACTERS = 2000


def describe_bad_input(error: BaseException) -> str | None:
    """Return one line for an error that the user can put right, or None for a fault of the program.

    Example:
        >>> describe_bad_input(ValueError("k must be at least 1,\\n got 0"))
        'k must be at least 1, got 0'
        >>> describe_bad_input(KeyError("internal")) is None
        True
    """
    format_message = getattr(error, "format_message", None)
    if callable(format_message):  # what typer found wrong with the arguments
        text = format_message()
        context = getattr(error, "ctx", None)
        if context is not None:
            text = f"{text.rstrip('.')}. See {context.command_path} --help"
    elif isinstance(error, (ValueError, TypeError, OSError, FloatingPointError)):
        text = str(error) or type(error).__name__
    elif isinstance(error, ImportError):
        text = f"{error}. `rablip env` shows what is installed and what is broken"
    elif type(error).__name__ == "SafetensorError":
        text = f"the weights file is damaged or incomplete: {error}. Download or copy the model again"
    elif type(error).__module__.split(".")[0] in ("httpx", "httpx2"):  # whichever huggingface_hub speaks by
        text = f"the Hub cannot be reached ({type(error).__name__}: {error})"
    else:
        return None
    line = " ".join(text.split())
    return line if len(line) <= _MAX_CHARACTERS else f"{line[:_MAX_CHARACTERS]}..."


class OneLineErrors(TyperGroup):
    """A command group that ends with exit code 2 and one line on stderr when the input is bad."""

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """Run the command line and exit; the arguments are those of typer."""
        inner = {**kwargs, "standalone_mode": False}
        if not kwargs.get("standalone_mode", True):
            return super().main(*args, **inner)
        try:
            code = super().main(*args, **inner)
        except typer.Abort:
            sys.exit(1)
        except BrokenPipeError:  # the reader of our output went away, as in `rablip ... | head`
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(1)
        except Exception as error:
            if type(error).__name__ == "NoArgsIsHelpError":
                error.show()  # type: ignore[attr-defined]
                sys.exit(EXIT_BAD_INPUT)
            line = describe_bad_input(error)
            if line is None:
                raise
            if os.environ.get(_DEBUG):
                traceback.print_exc()
            typer.echo(f"rablip: error: {line}", err=True)
            sys.exit(EXIT_BAD_INPUT)
        sys.exit(code if isinstance(code, int) else 0)
