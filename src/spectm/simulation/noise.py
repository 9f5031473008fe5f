"""What atmospheric correction and the instrument do to a spectrum: errors of Rrs from a few smooth functions.

Every number of `NoiseConfig` was chosen so that statistics of simulated files come near those of real PACE
spectra; `docs/simulation.md` lists these. No spectrum and no residual of a real file is in here.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

__all__ = ["LINES_NM", "NoiseConfig", "Pixels", "calibration_change", "retrieval_error", "smooth_chance"]

FloatArray = npt.NDArray[np.floating[Any]]
IntArray = npt.NDArray[np.intp]

BLUE_NM, GREEN_NM, NIR_NM = 346.0, 555.0, 719.0
SHARED_BY_NEIGHBOURS = 0.35
RED_DETECTOR_NM, RED_FLOOR = 600.0, 0.45  # beyond it another detector, with less noise
# The band at 681 nm sees less than those beside it: a share of the reflectance, fitted as the lines are.
LOW_BAND_NM, LOW_BAND_SHARE = 680.7, -0.012
PATTERN_SHARE = 0.4  # of the floor of noise that all pixels of a scene share
INSTRUMENT_SPREAD = 0.2  # of what stays of a line, from one instrument to another
GAS_SPREAD = 0.6  # of what stays of a gas, from scene to scene: the air is more or less humid
LINE_WIDTH_NM = 2.5  # standard deviation: the bands' own width
# Lines of the sun (calcium, the G band, hydrogen beta, magnesium, hydrogen alpha), gases of the air (oxygen,
# water vapour) and the ends of detectors, where a correction made for slightly other bands leaves something.
# With each goes what stays of it on average: 1e-4 sr^-1, and a share of the reflectance that is seen through
# a gas. Fitted to medians of real spectra of odd days: a band that lies off a line's middle errs to one side.
# fmt: off
_LINES = np.array([
    (357.0, 2.0, 0.0), (374.0, 0.7, 0.0), (393.5, -1.1, 0.0), (397.5, 3.5, 0.0), (427.0, -1.2, 0.0),
    (431.0, 2.0, 0.0), (441.0, -0.6, 0.0), (480.0, 0.9, 0.0), (486.1, 0.6, 0.0), (497.0, -1.1, 0.0),
    (514.0, -0.8, 0.0), (520.0, 0.8, 0.0), (529.0, 0.7, 0.0), (585.5, 2.0, 0.0), (589.3, -0.7, 0.0),
    (628.5, -0.4, -0.013), (643.0, 0.0, 0.01), (656.3, 0.4, 0.0), (683.0, 0.0, 0.016), (687.8, -2.6, -0.032),
    (718.5, 0.0, -0.13),
])
# fmt: on
LINES_NM, LINES_STAY, LINES_SHARE = _LINES[:, 0], 1e-4 * _LINES[:, 1], _LINES[:, 2]


@dataclass(frozen=True, slots=True, kw_only=True)
class NoiseConfig:
    """How large the errors of reflectance are. sr^-1 where nothing else is said, at 346 nm for blue ones.

    Parameters
    ----------
    scale : float
        Times every error; 0 gives the true reflectance.
    scene_mean, scene_spread : float
        Blue error of a whole scene, before the tail.
    scene_tail, tail_shape : float
        A gamma distribution of this scale and shape is taken off it.
    exponent, exponent_spread : float
        The blue error falls with wavelength to this power, down to nothing at 719 nm: correction starts from
        the near infrared. The power differs between scenes. Large errors reach further: it falls by
        `tail_flattening` for each 0.01 sr^-1 below zero.
    regional, regional_km, local, local_km, pixel : float
        The same within a scene, over two distances, and from pixel to pixel.
    restlessness : float
        Spread of the logarithm by which the three differ between scenes.
    white, white_mean : float
        Error of a scene that is nearly the same at all wavelengths, and a quarter of it from place to place;
        its mean stands for glint and for light from the shore.
    brightness : float
        Relative error of a pixel's brightness.
    water_in_nir : float
        Blue error for each 1 sr^-1 of water reflectance at 719 nm, which counts as aerosol.
    near_cloud : float
        Blue error at the side of a cloud.
    band, band_exponent : float
        Noise of single bands at 346 nm, and the power by which it falls with wavelength.
    floor : float
        Noise of single bands that comes on top and does not fall; less beyond 600 nm.
    line, line_mean : float
        What stays of a line: spread from scene to scene, and times `LINES_STAY` and `LINES_SHARE` on average.
    pattern, pattern_exponent : float
        A scene's error from band to band at 346 nm, and the power by which it falls with wavelength.
    """

    scale: float = 1.0
    scene_mean: float = 2.1e-3
    scene_spread: float = 4.0e-3
    scene_tail: float = 5.0e-3
    tail_shape: float = 0.8
    exponent: float = 4.0
    exponent_spread: float = 0.6
    tail_flattening: float = 0.8
    regional: float = 2.2e-3
    regional_km: float = 12.0
    local: float = 1.0e-3
    local_km: float = 1.5
    pixel: float = 0.5e-3
    restlessness: float = 0.5
    white: float = 0.25e-3
    white_mean: float = 0.5e-3
    brightness: float = 0.03
    water_in_nir: float = 0.5
    near_cloud: float = 3.0e-3
    band: float = 1.9e-4
    band_exponent: float = 10.0
    floor: float = 2.2e-5
    line: float = 0.2e-4
    line_mean: float = 1.0
    pattern: float = 0.5e-4
    pattern_exponent: float = 7.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Pixels:
    """Pixels of a swath whose water is seen.

    Parameters
    ----------
    line, pixel : ndarray of int, shape (n,)
        Where they lie in the swath.
    shape : tuple of int
        Lines and pixels of the swath.
    km : tuple of float
        Size of a pixel along and across the track, where most of them lie.
    path : ndarray, shape (n,)
        Light's way through the air, relative to sun and sensor 40 degrees off the zenith.
    near_cloud : ndarray, shape (n,)
        0 far from clouds to 1 at the side of one.
    """

    line: IntArray
    pixel: IntArray
    shape: tuple[int, int]
    km: tuple[float, float]
    path: FloatArray
    near_cloud: FloatArray


def retrieval_error(
    truth: FloatArray,
    wavelength: FloatArray,
    pixels: Pixels,
    config: NoiseConfig,
    *,
    scene: np.random.Generator,
    sensor: np.random.Generator,
) -> FloatArray:
    r"""Error of reflectance, to be added to the truth, sr^-1.

    Parameters
    ----------
    truth : ndarray, shape (n, n_bands)
        Rrs, sr^-1.
    wavelength : ndarray, shape (n_bands,)
        nm.
    pixels : Pixels
        Where and how they are seen.
    config : NoiseConfig
        How large the errors are.
    scene : Generator
        Chance of this scene.
    sensor : Generator
        Chance that all scenes of an instrument share: in the same state for each of them.

    Returns
    -------
    ndarray, shape (n, n_bands)

    Notes
    -----
    :math:`A(x) [(\lambda / 346)^{-p} - (719 / 346)^{-p}] + W(x) (\lambda / 555)^{-1} + g(x) R(\lambda)
    + \sum_k L_k G_k(\lambda) + S(\lambda) + \epsilon(x, \lambda)`: the blue error of atmospheric correction,
    a white one, brightness, what stays of absorption lines, a pattern of bands, and noise.
    """
    blue, power = _blue(truth[:, int(np.abs(wavelength - NIR_NM).argmin())], pixels, config, scene)
    error = blue[:, None] * _from_blue(wavelength, power[:, None])  # (pixel, band)
    white = config.white * (scene.normal() + 0.25 * smooth_chance(pixels, 3 * config.local_km, scene))
    white += config.white_mean
    error += white[:, None] * (GREEN_NM / wavelength)
    error += truth * (config.brightness * smooth_chance(pixels, config.local_km, scene))[:, None]
    height, share = _lines(wavelength, config, scene, sensor)
    error += height + truth * share
    error += _pattern(wavelength, config, scene)
    falling = config.band * (BLUE_NM / wavelength) ** config.band_exponent
    spread = np.hypot(falling, _floor(wavelength, config))
    error += spread * _neighbours_alike(truth.shape, scene)
    return config.scale * error


def calibration_change(wavelength: FloatArray, config: NoiseConfig, rng: np.random.Generator) -> FloatArray:
    """What another calibration adds to Rrs, sr^-1, shape (n_bands,): that of near-real-time files differs."""
    blue, white = rng.normal(0, [0.12 * config.scene_spread, 0.4 * config.white])
    smooth = blue * _from_blue(wavelength, config.exponent) + white * GREEN_NM / wavelength
    return config.scale * (smooth + 0.5 * _pattern(wavelength, config, rng))


def _blue(
    nir: FloatArray, pixels: Pixels, config: NoiseConfig, rng: np.random.Generator
) -> tuple[FloatArray, FloatArray]:
    """Blue error of every pixel, and the power of wavelength by which it falls, shape (n,) each."""
    scene = config.scene_mean + config.scene_spread * rng.normal()
    scene -= config.scene_tail * rng.gamma(config.tail_shape)
    power = config.exponent + config.exponent_spread * rng.normal()
    rest = np.exp(config.restlessness * rng.normal())
    within = config.regional * smooth_chance(pixels, config.regional_km, rng)
    within += config.local * smooth_chance(pixels, config.local_km, rng) + config.pixel * rng.normal(
        size=nir.shape
    )
    blue = scene + rest * within
    blue -= config.water_in_nir * nir
    blue += config.near_cloud * pixels.near_cloud * rng.normal(0.2, 0.5, nir.shape)
    blue *= pixels.path
    return blue, np.clip(power + config.tail_flattening * np.minimum(blue, 0) / 0.01, 2.0, 6.5)


def _from_blue(wavelength: FloatArray, power: Any) -> FloatArray:
    """1 at 346 nm, 0 at 719 nm, by a power of wavelength between."""
    end = (BLUE_NM / NIR_NM) ** power
    return ((BLUE_NM / wavelength) ** power - end) / (1 - end)


def smooth_chance(pixels: Pixels, km: float, rng: np.random.Generator) -> FloatArray:
    """Random numbers of variance 1, shape (n,), alike in pixels that are nearer than `km` to each other."""
    reach = np.array([km / side for side in pixels.km])  # in pixels
    step = np.maximum(1, np.floor(reach / 3)).astype(int)  # smooth fields need few points
    sigma = reach / step / np.sqrt(2)
    rim = np.ceil(3 * sigma).astype(int)  # what lies beyond a small scene counts as well
    n_nodes = [int(np.ceil(n / s)) + 2 for n, s in zip(pixels.shape, step, strict=True)]
    nodes = rng.standard_normal([n + 2 * r for n, r in zip(n_nodes, rim, strict=True)])
    smooth = ndimage.gaussian_filter(nodes, sigma, truncate=3.0, mode="constant")
    smooth /= np.prod([_left_over(float(one)) for one in sigma])
    places = [pixels.line / step[0] + rim[0], pixels.pixel / step[1] + rim[1]]
    return ndimage.map_coordinates(smooth, places, order=1, mode="nearest")


def _left_over(sigma: float) -> float:
    """Standard deviation of white noise after a Gaussian filter along one axis."""
    spike = np.zeros(2 * int(4 * sigma) + 5)
    spike[spike.size // 2] = 1
    filtered = ndimage.gaussian_filter1d(spike, sigma, truncate=3.0, mode="constant")
    return float(np.sqrt((filtered**2).sum()))


def _lines(
    wavelength: FloatArray, config: NoiseConfig, scene: np.random.Generator, sensor: np.random.Generator
) -> tuple[FloatArray, FloatArray]:
    """What stays of absorption lines, sr^-1 and as a share of reflectance, shape (n_bands,) each."""
    shape = np.exp(-(((wavelength - LINES_NM[:, None]) / LINE_WIDTH_NM) ** 2) / 2)  # (line, band)
    usual = config.line_mean * (1 + INSTRUMENT_SPREAD * sensor.normal(size=LINES_NM.size))
    height = usual * LINES_STAY + config.line * scene.normal(size=LINES_NM.size)
    vapour = 1 + GAS_SPREAD * scene.normal(size=LINES_NM.size)
    share = (usual * vapour * LINES_SHARE) @ shape
    share[int(np.abs(wavelength - LOW_BAND_NM).argmin())] += config.line_mean * LOW_BAND_SHARE
    return height @ shape, share


def _pattern(wavelength: FloatArray, config: NoiseConfig, rng: np.random.Generator) -> FloatArray:
    """A scene's error from band to band, shape (n_bands,)."""
    fall = (BLUE_NM / wavelength) ** config.pattern_exponent
    spread = np.hypot(config.pattern * fall, PATTERN_SHARE * _floor(wavelength, config))
    return spread * _neighbours_alike(wavelength.shape, rng)


def _floor(wavelength: FloatArray, config: NoiseConfig) -> FloatArray:
    """Noise of single bands that does not fall with wavelength, sr^-1, shape (n_bands,)."""
    return np.where(wavelength < RED_DETECTOR_NM, config.floor, config.floor * RED_FLOOR)


def _neighbours_alike(shape: tuple[int, ...], rng: np.random.Generator) -> FloatArray:
    """Noise of variance 1 along bands that overlap: neighbours share some of it, shape (..., n_bands)."""
    noise = rng.standard_normal((*shape[:-1], shape[-1] + 2))
    share = SHARED_BY_NEIGHBOURS
    return (noise[..., 1:-1] + share * (noise[..., :-2] + noise[..., 2:])) / np.sqrt(1 + 2 * share**2)
