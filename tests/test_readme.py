"""Every command line in the documentation exists, with its options and files."""
import os
import re
import shlex
from functools import cache

import pytest
from helpers.reduced import ROOT

PAGES = [ROOT / 'README.md', ROOT / 'CONTRIBUTING.md', *sorted((ROOT / 'docs').glob('*.md')),
         *sorted(ROOT.glob('configs/*/README.md'))]


def commands(page):
    """What calls a tool or make in code blocks, with its continuations, and in the text, as the words from there on."""
    text = re.sub(r'\\\n\s*', '', page.read_text())
    blocks = re.findall(r'^(?: {4}|\t)(.*)$', text, re.MULTILINE)
    inline = re.findall(r'`((?:tools/\w+\.(?:py|sh)|make|python -m mmvisattn) [^`\n]+)`', text)
    for line in [*blocks, *inline]:
        words = shlex.split(re.sub(r'^.*-m mmvisattn (\w+)', r'tools/\1.py', line), comments=True)
        tool = [index for index, word in enumerate(words) if re.match(r'tools/\w+\.(py|sh)', word)]
        if tool or words[:1] == ['make']:
            yield words[tool[0]:] if tool else words


COMMANDS = [pytest.param(words, id=' '.join(words)[:60]) for page in PAGES for words in commands(page)]


def test_there_are_commands():
    assert len(COMMANDS) >= 12


@pytest.fixture(scope='module')
def options_of(run_tool_in):
    @cache
    def options(tool):
        script = re.sub(r'(dist|slurm)_(\w+)\.sh', r'\2.py', tool)  # which passes its options on
        done = run_tool_in(ROOT, ROOT / script, '--help')
        assert done.returncode == 0, done.stderr
        return set(re.findall(r'--[\w-]+', done.stdout))

    return options


@pytest.mark.parametrize('words', COMMANDS)
def test_the_command_exists(words, options_of):
    if words[0] == 'make':
        targets = [word for word in words[1:] if '=' not in word]
        known = re.findall(r'^([\w-]+):', (ROOT / 'Makefile').read_text(), re.MULTILINE)
        assert targets and set(targets) <= set(known)
        return
    tool, *arguments = (word.strip('[]…') for word in words)
    assert os.access(ROOT / tool, os.X_OK), f'{tool} is not executable'
    assert {word for word in arguments if word.startswith('--')} <= options_of(tool)
    assert all((ROOT / word).is_file() for word in arguments if word.startswith('configs/'))


def test_all_tools_are_executable():
    tools = [*(ROOT / 'tools').glob('*.*'), *(ROOT / 'docs').glob('*.py')]
    assert tools and all(os.access(tool, os.X_OK) and tool.read_text().startswith('#!') for tool in tools)


@pytest.mark.parametrize('page', PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_and_pictures_are_there(page):
    targets = re.findall(r'\]\((?!https?:)([^)#]+)', page.read_text())
    assert not [target for target in targets if not (page.parent / target).exists()]
