"""Freed memory is kept for the next pass, and returned when told so."""
import resource
import sys

import pytest

# Pages that the process gets anew in a second pass over 64 MiB, and in a third after they were returned.
PAGES = '''
import resource
from mmvisattn.cli.memory import keep_freed_memory, kept_memory, return_freed_memory

def new_pages():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    b'x' * 2**26
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

keep_freed_memory()
new_pages()
print(new_pages())
print(kept_memory())
return_freed_memory()
print(new_pages())
'''
ALL = 2**26 // resource.getpagesize()


@pytest.mark.skipif(sys.platform != 'linux', reason="glibc's")
@pytest.mark.parametrize('variables, kept', [
    ({}, True), (dict(MALLOC_MMAP_THRESHOLD_='131072'), False),
    (dict(GLIBC_TUNABLES='glibc.malloc.mmap_threshold=131072'), False)])
def test_freed_memory(variables, kept, run_afresh, monkeypatch):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    done = run_afresh('-c', PAGES)
    assert done.returncode == 0, done.stderr
    second, bytes_kept, third = map(int, done.stdout.split())
    assert second < 0.1 * ALL if kept else second >= ALL
    assert (bytes_kept > 2**26) == kept
    assert third >= 0.9 * ALL
