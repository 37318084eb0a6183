"""A process that imports what the tools import, or the modules of its arguments, once, and forks a child for each run:
``helpers.runs`` starts it.

A line of its input tells a run, in JSON; it answers with a line when the child has started, its process id, and with another
when it has ended, its return code. Nothing runs here but imports, so that a child starts as a new process does after them.
"""
import atexit
import gc
import importlib
import json
import os
import pkgutil
import runpy
import sys
import types
from contextlib import suppress
from typing import TextIO

OTHERS = ('mmseg', 'mmdet', 'mmpretrain')


def format_once() -> None:
    """Let yapf remember: mmengine formats a config anew for each log and checkpoint, half the time of a short run."""
    from yapf.yapflib import yapf_api
    plain, known = yapf_api.FormatCode, {}

    def format_code(text: str, **settings):
        key = text, repr(settings)
        if key not in known:
            known[key] = plain(text, **settings)
        return known[key]

    yapf_api.FormatCode = format_code


def import_everything() -> None:
    """The package's modules, mmengine, and mmseg, mmdet and mmpretrain as far as they are there."""
    import mmengine.runner  # noqa: F401
    import torch._dynamo  # noqa: F401  (which optimizers import)

    import mmvisattn
    from mmvisattn.without_torchvision import import_mmpretrain
    for module in pkgutil.walk_packages(mmvisattn.__path__, 'mmvisattn.'):
        with suppress(ImportError):  # parts need mmseg or mmdet
            importlib.import_module(module.name)
    with suppress(ImportError):
        import_mmpretrain()
    for name in OTHERS:
        with suppress(ImportError):
            importlib.import_module(f'{name}.utils').register_all_modules(init_default_scope=False)


def redirect(number: int, path: str, flags: int = os.O_WRONLY) -> None:
    """Let a file stand for standard input (0), output (1) or error (2)."""
    opened = os.open(path, flags)
    os.dup2(opened, number)
    os.close(opened)


def become(run: dict) -> None:
    """Take on the files, the folder and the environment of a run."""
    redirect(0, os.devnull, os.O_RDONLY)
    redirect(1, run['stdout'])
    redirect(2, run['stderr'])
    os.chdir(run['folder'])
    os.environ.clear()
    os.environ.update(run['environment'])
    if 'numpy' in sys.modules:  # whose state was drawn when it was imported; those of random and torch are new or fixed
        sys.modules['numpy'].random.seed()


def execute(arguments: list[str]) -> None:
    """As ``python`` does: a script, or ``-c`` and code."""
    if arguments[0] == '-c':
        main = sys.modules['__main__'] = types.ModuleType('__main__')
        sys.argv, sys.path[0] = ['-c', *arguments[2:]], ''
        exec(compile(arguments[1], '<string>', 'exec'), vars(main))
    else:
        sys.argv, sys.path[0] = arguments, os.path.dirname(os.path.abspath(arguments[0]))
        runpy.run_path(arguments[0], run_name='__main__')


def end_quickly() -> None:
    """End where an interpreter would free, object by object, all that was imported, which takes half a second."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def serve(answers: TextIO) -> list[str]:
    """Fork for every run until the input ends; returns the arguments to the children, and none to this process."""
    for line in sys.stdin:
        run = json.loads(line)
        child = os.fork()
        if not child:
            answers.close()
            become(run)
            return run['arguments']
        print(child, file=answers, flush=True)
        status = os.waitpid(child, 0)[1]
        print(os.waitstatus_to_exitcode(status), file=answers, flush=True)
    return []


if __name__ == '__main__':
    status = 0
    atexit.register(end_quickly)  # the first to be registered is the last to be called
    answers = os.fdopen(os.dup(1), 'w')
    redirect(1, os.devnull)  # some packages print when they are imported
    if modules := sys.argv[1:]:
        for name in modules:
            importlib.import_module(name)
    else:
        format_once()
        import_everything()
    sys.stdout.flush()
    gc.freeze()  # what all children share need not be looked through by each
    arguments = serve(answers)
    if arguments:
        status = 1  # of what is raised, which the interpreter deals with
        try:
            execute(arguments)
            status = 0
        except SystemExit as done:
            status = done.code if isinstance(done.code, int) else int(done.code is not None)
            raise
