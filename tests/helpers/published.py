"""The published models, as the metafiles list them."""
import yaml

from .reduced import ROOT

INDEX = yaml.safe_load((ROOT / 'model-index.yml').read_text())
PUBLISHED = {
    model['Name']: model for path in INDEX['Import'] for model in yaml.safe_load((ROOT / path).read_text())['Models']}
