"""mmpretrain works without torchvision, and nothing else takes the stand-ins for it."""
import pytest

from mmvisattn.dependencies import installed

pytest.importorskip('mmpretrain')


@pytest.mark.skipif(installed('torchvision'), reason='torchvision is installed')
def test_mmpretrain_is_imported_and_torchvision_is_not(run_apart):
    code = """
import importlib.util, sys
from mmvisattn.without_torchvision import import_mmpretrain, stand_ins
import_mmpretrain()
import_mmpretrain()
from mmpretrain.datasets import ImageNet
from mmpretrain.evaluation import Accuracy
assert importlib.util.find_spec('torchvision') is None and 'torchvision' not in sys.modules
with stand_ins():
    from torchvision.transforms import Compose
try:
    Compose([])
except ImportError as error:
    print(error)
"""
    done = run_apart('-c', code)
    assert done.returncode == 0, done.stderr
    assert 'torchvision.transforms.Compose needs torchvision, which is not installed: pip install torchvision' in done.stdout
