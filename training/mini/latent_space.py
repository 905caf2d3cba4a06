"""The latent space of signet-mini, fixed by definition: what each of the 32x32 cells of 8x8 pixels looks like.

Data flow: (N, 256, 256, 3) uint8 pictures -> mean red, green and blue of each cell + how much the cell varies
-> normalised (N, 4, 32, 32) float32. The autoencoder learns to go there and back.

Why not a learnt space: an autoencoder trained end to end for 1,300 steps kept two of three colour dimensions
(blue and purple, black and green came out alike: 35 of 60 pictures kept their colours, measured). In this space
no colour can be lost, the encoder and the decoder train apart, and the UNet needs neither of them to start.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from training.mini.vocabulary import IMAGE_SIZE_PX

LATENT_CHANNELS: Final = 4  # the stock inpainting pipeline refuses a UNet with any other number but 4 (or 9)
LATENT_SIZE: Final = 32
CELL_PX: Final = IMAGE_SIZE_PX // LATENT_SIZE

# Mean and deviation of red, green, blue (in [-1, 1]) and variation over 400 training scenes; measured, then fixed.
MEAN: Final = (0.408, 0.425, 0.403, 0.049)
DEVIATION: Final = (0.580, 0.572, 0.580, 0.161)


def raw_cells(pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return (N, 4, H/8, W/8) float32 cell means in [-1, 1] and cell variation >= 0, not normalised."""
    count, height, width, _ = pictures.shape
    cells = pictures.astype(np.float32).reshape(count, height // CELL_PX, CELL_PX, width // CELL_PX, CELL_PX, 3)
    cells = cells / np.float32(127.5) - np.float32(1.0)
    mean = cells.mean(axis=(2, 4))
    variation = np.sqrt(((cells - mean[:, :, None, :, None]) ** 2).mean(axis=(2, 4)).sum(axis=-1, keepdims=True))
    return np.concatenate([mean, variation], axis=-1).transpose(0, 3, 1, 2).astype(np.float32)


def picture_latents(pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return the latents that the definition gives to pictures.

    Args:
        pictures: (N, H, W, 3) uint8 RGB, H and W multiples of 8.

    Returns:
        (N, 4, H/8, W/8) float32, about mean 0 and deviation 1 in each channel.
    """
    mean = np.asarray(MEAN, np.float32).reshape(1, -1, 1, 1)
    deviation = np.asarray(DEVIATION, np.float32).reshape(1, -1, 1, 1)
    return (raw_cells(pictures) - mean) / deviation
