# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from pathlib import Path

import pytest

from dfd_perception.errors import ConfigError
from dfd_perception.files.configuration import from_mapping, plain, read_yaml, with_overrides
from dfd_perception.network import create_network
from dfd_perception.training.config import CHANGEABLE, TrainConfig, differences
from dfd_perception.training.objectives import create_objective

ROOT = Path(__file__).resolve().parents[2]
RECIPES = sorted((ROOT / "config" / "train").glob("*.yaml"))


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_every_recipe_can_be_read_and_built(path):
    config = from_mapping(TrainConfig, read_yaml(path), str(path))
    assert config.name == path.stem
    assert create_objective(config.objective, config.model.target).parts
    if config.model.variant == "2hded-small":
        create_network(config.model.variant, config.model.target, **config.model.options)
    if config.model.target == "depth" and config.data.kind not in ("auto", "folder"):
        assert config.data.lens is not None, "a depth model belongs to one lens"
        assert config.data.lens.resolved().lens is not None


def test_there_is_a_recipe_for_each_data_set_of_the_thesis():
    names = {path.stem for path in RECIPES}
    assert names >= {
        "generated_any_lens", "nyu", "make3d", "dfd_indoor", "diode", "idfd", "syndof", "ded", "rtf", "finetune",
        "regularisers",
    }  # fmt: skip


def test_a_resolved_recipe_reads_as_itself():
    for path in RECIPES:
        config = from_mapping(TrainConfig, read_yaml(path), str(path))
        assert from_mapping(TrainConfig, plain(config), "resolved") == config


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("learning_rate=1", "unknown key learning_rate"),
        ("optimiser.lr=1", "unknown key lr"),
        ("optimiser.learning_rate=0", "learning_rate is 0.0"),
        ("optimiser.learning_rate=.inf", "learning_rate is inf"),
        ("optimiser.ema_decay=1", "ema_decay is 1.0"),
        ("model.target=disparity", "'depth', 'coc'"),
        ("model.freeze=[encoder, upper_head, lower_head]", "nothing would be trained"),
        ("model.keep_statistics=true", "model.start_from, which is not given"),
        ("model.evidence=0", "model.evidence is 0"),
        ("model.evidence=1.5", "model.evidence is 1.5"),
        ("model.image_prior=-0.1", "model.image_prior is -0.1"),
        ("model.encoder_weights=densenet121.pth", "variant is 2hded-small"),
        ("batch_size=0", "batch_size is 0"),
        ("seed=-1", "seed is -1"),
        ("seed=99999999999999999999", "seed is 9999"),
        ("name=../x", "name is '../x'; expected a name without folders"),
        ("name=a/b", "name is 'a/b'; expected a name without folders"),
        ("max_steps=null", "max_steps or max_minutes"),
        ("data.photograph_share=1.5", "photograph_share is 1.5"),
        ("augmentation.crop=[32, 32]", "unknown key crop"),
        ("augmentation.flip_x=2", "flip_x is 2.0"),
        ("objective.gamma=0", "gamma is 0.0"),
    ],
)
def test_a_wrong_setting_is_named(override, says):
    recipe = with_overrides({"name": "x", "max_steps": 1}, [override])
    with pytest.raises(ConfigError, match=says):
        from_mapping(TrainConfig, recipe, "recipe.yaml")


def test_a_defocus_map_learns_itself_only_with_its_target():
    recipe = {"name": "x", "max_steps": 1, "model": {"target": "depth"}, "objective": {"mode": "self_supervised"}}
    with pytest.raises(ConfigError, match="must be coc"):
        from_mapping(TrainConfig, recipe, "recipe.yaml")


def test_an_unknown_regulariser_is_refused():
    config = from_mapping(TrainConfig, {"name": "x", "max_steps": 1, "objective": {"regulariser": "tv"}}, "r")
    with pytest.raises(ConfigError, match="'tv' is not known; choose one of none, hu"):
        create_objective(config.objective, "depth")


def test_differences_name_the_setting_and_both_values():
    stored = plain(TrainConfig(name="x", max_steps=1))
    given = with_overrides(stored, ["optimiser.betas=[0.5, 0.999]", "seed=3"])
    assert differences(stored, given) == ["optimiser.betas: [0.9, 0.99] -> [0.5, 0.999]", "seed: 0 -> 3"]
    assert differences(stored, stored) == []


def test_what_may_change_is_a_setting():
    assert set(plain(TrainConfig(name="x", max_steps=1))) >= CHANGEABLE
