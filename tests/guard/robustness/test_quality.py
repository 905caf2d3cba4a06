"""Quality figures: known values, order, and agreement with scikit-image."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image
from skimage import data
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from guard.errors import RequestError
from guard.robustness.pixels import noisy
from guard.robustness.quality import delta_e, flat_areas, measure_quality, psnr_db, ssim
from guard.robustness.samples import ContentClass, clouds, content_class, drawing, folder_samples

PICTURE = np.ascontiguousarray(data.coffee()[:200, :240])


def test_equal_pictures_are_equal() -> None:
    quality = measure_quality(PICTURE, PICTURE)
    assert quality.psnr_db == float("inf")
    assert quality.ssim == pytest.approx(1.0)
    assert quality.delta_e == quality.delta_e_flat == 0.0


def test_psnr_and_ssim_agree_with_scikit_image() -> None:
    changed = noisy(PICTURE, 6)
    assert psnr_db(PICTURE, changed) == pytest.approx(peak_signal_noise_ratio(PICTURE, changed), abs=1e-6)
    luma = [cv2.cvtColor(p, cv2.COLOR_RGB2GRAY) for p in (PICTURE, changed)]
    expected = structural_similarity(*luma, gaussian_weights=True, sigma=1.5, use_sample_covariance=False)
    assert ssim(PICTURE, changed) == pytest.approx(expected, abs=0.004)


def test_a_uniform_step_has_the_difference_of_its_lab_values() -> None:
    # sRGB 119 -> 129 is L* 50.03 -> 53.98 (IEC 61966-2-1, CIE 1976)
    grey = np.full((64, 64, 3), 119, np.uint8)
    assert delta_e(grey, np.full_like(grey, 129))[32, 32] == pytest.approx(3.95, abs=0.15)


def test_what_is_finer_than_the_eye_resolves_counts_less() -> None:
    grey = np.full((128, 128, 3), 128, np.uint8)
    checker = ((np.indices((128, 128)).sum(axis=0) % 2) * 20 - 10)[..., None]
    blocks = ((np.indices((128, 128)) // 16).sum(axis=0) % 2 * 20 - 10)[..., None]
    fine, coarse = (delta_e(grey, (grey + c).astype(np.uint8)).mean() for c in (checker, blocks))
    assert fine < 0.6 * coarse


def test_flat_and_textured_are_told_apart() -> None:
    assert flat_areas(np.full((64, 64, 3), 9, np.uint8)).all()
    assert not flat_areas(noisy(np.full((64, 64, 3), 128, np.uint8), 20)).any()
    assert content_class(drawing(1)) is ContentClass.FLAT
    assert content_class(noisy(np.full((64, 64, 3), 128, np.uint8), 30)) is ContentClass.TEXTURED
    assert content_class(PICTURE) is ContentClass.MIXED


def test_clouds_have_a_falling_spectrum_and_fill_their_shape() -> None:
    sky = clouds(3, 96, 64)
    assert sky.shape == (64, 96, 3)
    power = np.abs(np.fft.rfft2(sky[..., 1] - sky[..., 1].mean())) ** 2
    assert power[1:4, 1:4].mean() > 20 * power[20:30, 20:30].mean()


def test_clouds_are_as_rough_as_photographs() -> None:
    assert [content_class(clouds(seed)) for seed in range(4)] == [ContentClass.MIXED] * 4


def test_folders_of_one_name_are_refused_because_the_report_could_not_tell_them_apart(tmp_path: Path) -> None:
    folders = [tmp_path / "a" / "photos", tmp_path / "b" / "photos"]
    for folder in folders:
        folder.mkdir(parents=True)
        Image.fromarray(PICTURE).save(folder / "p.png")
    with pytest.raises(RequestError, match="same name"):
        folder_samples(folders, count=1, least_side=64)
    (sample,) = folder_samples([folders[0] / ".." / "photos"], count=2, least_side=64)
    assert (sample.source, sample.name, sample.pixels.shape) == ("photos", "p.png", (512, 512, 3))
