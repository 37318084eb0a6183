"""The models of the metafiles: those that the papers' authors publish, and those whose weights come with the package."""
import yaml

from .reduced import ROOT

INDEX = yaml.safe_load((ROOT / 'model-index.yml').read_text())
MODELS = {model['Name']: model for path in INDEX['Import'] for model in yaml.safe_load((ROOT / path).read_text())['Models']}
SHIPPED = {path.stem for path in (ROOT / 'mmvisattn/pretrained').glob('*.safetensors')}
PUBLISHED = {name: model for name, model in MODELS.items() if name not in SHIPPED}
