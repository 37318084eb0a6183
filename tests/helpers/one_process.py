"""Run tools one after the other in one process, which imports torch and the mm packages once.

Argument: a file with a JSON list of [name, tool, [arguments]]. The last line of the output: JSON, for each name the exit
status and what was written to standard error.
"""
import contextlib
import io
import json
import runpy
import sys
import traceback
from pathlib import Path

from mmvisattn.cli.usage import end_clearly


def outcome(tool: str, arguments: list[str]) -> tuple[int, str]:
    """Exit status and standard error of a run."""
    sys.argv, errors, status = [tool, *arguments], io.StringIO(), 0
    with contextlib.redirect_stderr(errors), contextlib.redirect_stdout(io.StringIO()):
        try:
            end_clearly(runpy.run_path(tool)['main'])
        except SystemExit as end:  # at the end of a process its text goes to standard error
            status = 1 if isinstance(end.code, str) else end.code or 0
            print(end.code, file=sys.stderr)
        except Exception:
            status = 1
            traceback.print_exc()
    return status, errors.getvalue()


if __name__ == '__main__':
    runs = json.loads(Path(sys.argv[1]).read_text())
    print(json.dumps({name: outcome(tool, arguments) for name, tool, arguments in runs}))
