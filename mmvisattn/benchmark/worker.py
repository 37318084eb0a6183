"""The process of one model: it obeys lines of JSON on its input, and answers each with one, to a file that it is given."""
import json
import os
import sys
from typing import Any

from mmengine.logging import MMLogger

from mmvisattn.cli.usage import one_line

from .measuring import OUT_OF_MEMORY, Bench, Cell, Settings, is_out_of_memory


def obeyed(bench: Bench, command: str, cell: dict | None) -> dict:
    """The answer to a command; what goes wrong is an answer, too."""
    try:
        if cell:
            return dict(start=bench.start, count=bench.count)[command](Cell(**cell))
        return dict(turn=bench.turn, memory=bench.memory, stop=bench.stop)[command]()
    except Exception as error:  # whatever a model raises
        message = OUT_OF_MEMORY if is_out_of_memory(error) else one_line(error)
    bench.stop()
    return dict(error=message)


def main() -> None:
    answers = os.fdopen(int(sys.argv[1]), 'w')
    MMLogger.get_current_instance().setLevel('ERROR')

    def answer(content: dict[str, Any]) -> None:
        try:
            print(json.dumps(content), file=answers, flush=True)
        except BrokenPipeError:  # the tool is gone, and nothing is left to do, not even to flush
            os._exit(1)

    first = sys.stdin.readline()
    if not first:  # the tool was ended before it could send the model
        return
    text, settings = json.loads(first)
    try:
        bench = Bench(text, Settings(**settings))
    except Exception as error:
        answer(dict(error=one_line(error)))
        return
    answer(dict(parameters=bench.parameters))
    for line in sys.stdin:
        answer(obeyed(bench, **json.loads(line)))


if __name__ == '__main__':
    main()
