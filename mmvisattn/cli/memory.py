"""What the C library does with the memory that a process frees."""
import ctypes
import gc
import os
from contextlib import suppress

# Of mallopt(3). By default glibc returns large blocks to the system, and gets them anew, page by page, in the next pass.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
ALLOCATOR_VARIABLES = ('MALLOC_TRIM_THRESHOLD_', 'MALLOC_MMAP_THRESHOLD_')

# Of mallinfo(3).
FIGURES = ['arena', 'ordblks', 'smblks', 'hblks', 'hblkhd', 'usmblks', 'fsmblks', 'uordblks', 'fordblks', 'keepcost']


class Mallinfo(ctypes.Structure):
    """What glibc's allocator holds, in bytes or blocks."""
    _fields_ = [(name, ctypes.c_size_t) for name in FIGURES]


def keep_freed_memory() -> None:
    """Let glibc keep what is freed for the next pass, unless the user's variables say what it does.

    Whether it returns a block depends on the blocks before, so that one model takes two different times in two processes.
    """
    if os.environ.keys() & set(ALLOCATOR_VARIABLES) or 'glibc.malloc.' in os.environ.get('GLIBC_TUNABLES', ''):
        return
    with suppress(OSError, AttributeError):  # another C library
        library = ctypes.CDLL(None)
        library.mallopt(M_MMAP_THRESHOLD, 2**30)
        library.mallopt(M_TRIM_THRESHOLD, 2**31 - 1)


def return_freed_memory() -> None:
    """Free what nothing refers to, and let glibc return to the system what is freed."""
    gc.collect()
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


def kept_memory() -> int:
    """Bytes that are freed, and that glibc keeps; 0 where it does not tell."""
    with suppress(OSError, AttributeError):  # before glibc 2.33
        mallinfo = ctypes.CDLL(None).mallinfo2
        mallinfo.restype = Mallinfo
        return mallinfo().fordblks
    return 0
