from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.schedule import plan_training, scaled_epochs

IMAGES = st.integers(min_value=1, max_value=60_000)
EPOCHS = st.integers(min_value=1, max_value=50)


@given(EPOCHS)
def test_full_mnist_is_trained_for_the_stated_epochs(epochs: int) -> None:
    assert scaled_epochs(epochs, 60_000, 60_000) == scaled_epochs(epochs, 1, None) == epochs


@pytest.mark.parametrize(("stated", "run"), [(4, 16), (2, 8), (1, 4), (0.75, 3), (0.25, 1)])
def test_the_subset_gets_about_four_times_the_epochs(stated: float, run: int) -> None:
    assert scaled_epochs(stated, 4000, 60_000) == run


@given(EPOCHS, IMAGES, IMAGES)
def test_fewer_images_mean_more_epochs_but_fewer_images_seen(epochs: int, a: int, b: int) -> None:
    few, many = sorted((a, b))
    more, fewer = (scaled_epochs(epochs, samples, 60_000) for samples in (few, many))
    assert more >= fewer
    # One epoch of slack for rounding up.
    assert (more - 1) * few <= fewer * many


@given(IMAGES, st.floats(min_value=0, max_value=0.99), st.integers(1, 1000))
def test_every_image_trains_or_validates_and_batches_cover_an_epoch(
    images: int, split: float, batch: int
) -> None:
    plan = plan_training(
        epochs=1, batch_size=batch, validation_split=split, images=images, stated_for=60_000
    )
    assert plan.fit_images + plan.validation_images == images
    assert plan.fit_images >= 1
    assert (plan.steps_per_epoch - 1) * batch < plan.fit_images <= plan.steps_per_epoch * batch
    assert plan.steps == plan.epochs * plan.steps_per_epoch


def test_arms_recipe_on_full_mnist() -> None:
    plan = plan_training(
        epochs=4, batch_size=32, validation_split=0.1, images=60_000, stated_for=60_000
    )
    assert (plan.fit_images, plan.validation_images, plan.steps) == (54_000, 6_000, 4 * 1688)
