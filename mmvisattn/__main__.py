"""The tools of this package, for those who have no copy of its repository: ``python -m mmvisattn train CONFIG …``."""
import runpy
import sys
from pathlib import Path

from mmvisattn.cli.usage import did_you_mean, nearest
from mmvisattn.weights.catalog import project_folder


def tools() -> dict[str, Path]:
    """The tools by name."""
    return {path.stem: path for path in sorted((project_folder() / 'tools').glob('*.py'))}


def main() -> None:
    known = tools()
    name = sys.argv[1] if len(sys.argv) > 1 else '--help'
    if name in ('-h', '--help'):
        print(f'usage: python -m mmvisattn {{{",".join(known)}}} …\n\n'
              'A config is a path, or the name of one that comes with the package. After the name of a tool, --help lists '
              'its options.')
    elif name.replace('-', '_') not in known:
        sys.exit(f'error: there is no tool {name}{did_you_mean(nearest(name, known))} (--help names all)')
    else:
        path = str(known[name.replace('-', '_')])
        sys.argv = [path, *sys.argv[2:]]
        runpy.run_path(path, run_name='__main__')


if __name__ == '__main__':
    main()
