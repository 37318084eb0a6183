"""mmpretrain's own tool draws class activation maps of every family, with the layers that docs/classification.md names."""
import re
from pathlib import Path

import cv2
import pytest
import torch
from helpers.reduced import ROOT, reduced_classifier
from mmengine.logging import HistoryBuffer
from mmengine.registry import MODELS, DefaultScope

from mmvisattn.without_torchvision import import_mmpretrain

mmpretrain = pytest.importorskip('mmpretrain')
pytest.importorskip('ttach')  # which comes with grad-cam; that itself cannot be imported without torchvision
TOOL = Path(mmpretrain.__file__).parent / '.mim/tools/visualization/vis_cam.py'
LAYERS = dict(re.findall(r'^\| (\w+) \| `([\w.]+)` \|', (ROOT / 'docs/classification.md').read_text(), re.MULTILINE))


@pytest.mark.parametrize('family', ['CrossFormer', 'SMT', 'TopFormer'])
def test_class_activation_maps(family, run_tool, tmp_path, miniature_imagenet):
    import_mmpretrain()
    cfg = reduced_classifier(ROOT / f'configs/{family.lower()}/{family.lower()}-tiny_8xb128_in1k.py', miniature_imagenet)
    cfg.test_dataloader = cfg.val_dataloader
    cfg.dump(tmp_path / 'config.py')
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        model = MODELS.build(cfg.model).eval()
    hub = dict(log_scalars=dict(loss=HistoryBuffer([1.0], [1])))  # as in every checkpoint of a training
    torch.save(dict(state_dict=model.state_dict(), message_hub=hub), tmp_path / 'checkpoint.pth')
    shapes = []
    layer = model.get_submodule(LAYERS[family])
    layer.register_forward_hook(lambda module, args, output: shapes.append(output.shape))
    model(torch.zeros(1, 3, 64, 64))
    channels = model.backbone.out_channels[-1]
    assert shapes == [(1, channels, 2, 2)]  # a map, as the tool expects of a tensor of four dimensions
    image = next((miniature_imagenet / 'val/gear').iterdir())
    chosen = ['--target-layers', LAYERS[family]] if family != 'CrossFormer' else []  # the tool's own choice
    done = run_tool(ROOT / 'mmvisattn/without_torchvision.py', TOOL, image, 'config.py', 'checkpoint.pth',
                    '--save-path', 'map.png', '--target-category', 2, *chosen)
    assert done.returncode == 0, done.stderr
    assert cv2.imread(str(tmp_path / 'map.png')).shape == (64, 64, 3)
    assert chosen or LAYERS[family] in done.stdout
