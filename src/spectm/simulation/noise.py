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
RED_DETECTOR_NM, RED_FLOOR = 600.0, 0.36  # beyond it another detector, with less noise
RED_GAIN, RED_GAIN_SPREAD = -0.009, 0.006  # it sees another share of the light; from scene to scene
SHARED_BY_NEIGHBOURS = 0.35
# Noise that bands within some nanometres share: its correlation falls as a Gaussian, drawn every so many nm.
SHARED_NM, SHARED_STEP_NM = 3.5, 4.0
PATTERN_SHARE = 0.4  # of the floor of noise that all pixels of a scene share
INSTRUMENT_SPREAD = 0.05  # of what stays of a line, from one instrument to another
GAS_SPREAD = 0.6  # of what stays of a gas, from scene to scene: the air is more or less humid
# Water vapour beyond 713 nm: middle and standard deviation of its absorption, nm; the share of reflectance
# that it takes on average; how much that differs from scene to scene, as a share of it.
VAPOUR_NM, VAPOUR_WIDTH_NM, VAPOUR_SHARE = 720.5, 3.0, 0.129
VAPOUR_SCENE = 0.5
# A smooth error of calibration in the blue: middles of Gaussians, nm, 8 nm wide, and their heights, sr^-1.
_BENDS = np.array([(387.0, 0.6e-4), (402.0, 0.5e-4), (418.0, -1.3e-4), (452.0, 1.1e-4)])
BEND_WIDTH_NM = 8.0
# Lines of the sun (calcium, the G band, hydrogen beta, magnesium, iron, hydrogen alpha), gases of the air
# (oxygen, water vapour) and the ends of detectors, where a correction made for slightly other bands leaves
# something. Middle and standard deviation, nm (2.5 is a band's own width; narrower ones are single bands that
# see less or more); what stays of each on average: 1e-4 sr^-1, and a share of the reflectance that is seen
# through a gas. Fitted to real spectra of odd days: a band off a line's middle errs to one side.
# fmt: off
_LINES = np.array([
    (351.5, 2.5, -1.9, 0), (357.2, 2.5, 1.0, 0), (375.0, 2.5, 0.5, 0), (378.5, 2.5, -1.6, 0),
    (393.9, 2.5, -0.7, 0), (398.1, 2.5, 3.3, 0), (428.5, 2.5, -1.0, 0), (432.0, 2.5, 2.3, 0),
    (466.8, 2.5, -0.8, 0), (479.0, 2.5, 0.9, 0), (488.5, 2.5, 1.2, 0), (520.5, 2.5, 1.4, 0),
    (528.5, 2.5, 1.3, 0), (550.0, 2.5, 0.7, 0), (580.5, 2.5, 1.3, 0), (585.0, 2.5, 2.5, 0),
    (623.5, 2.5, 0.0, -0.004), (629.0, 2.5, 0.0, -0.023), (642.5, 2.5, 0.0, 0.008), (648.5, 1.0, -0.6, 0),
    (653.5, 1.0, 0.4, 0), (656.8, 2.5, 1.0, 0), (660.5, 1.0, 0.0, 0.007), (668.5, 2.5, -0.5, 0),
    (681.3, 1.0, 0.0, -0.014), (682.0, 2.5, 0.0, 0.005), (687.5, 2.5, 0.0, -0.02),
    (688.5, 2.5, -3.1, -0.025), (694.5, 2.5, 0.7, -0.037), (702.5, 2.5, 0.0, -0.018),
    (717.0, 1.5, 0.0, -0.056),
])
# fmt: on
LINES_NM, LINE_WIDTHS_NM = _LINES[:, 0], _LINES[:, 1]
LINES_STAY, LINES_SHARE = 1e-4 * _LINES[:, 2], _LINES[:, 3]


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
        the near infrared. The power differs between scenes.
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
    shared, shared_floor : float
        The same for noise that bands within some 5 nm share; this floor is the same at all wavelengths.
    line, line_mean : float
        What stays of a line: spread from scene to scene, and times what stays on average of lines, of water
        vapour, and of the error of calibration.
    pattern, pattern_exponent : float
        A scene's error from band to band at 346 nm, and the power by which it falls with wavelength.
    """

    scale: float = 1.0
    scene_mean: float = 4.41e-3
    scene_spread: float = 3.03e-3
    scene_tail: float = 5.22e-3
    tail_shape: float = 0.8
    exponent: float = 3.1
    exponent_spread: float = 0.2
    regional: float = 1.77e-3
    regional_km: float = 12.0
    local: float = 1.0e-3
    local_km: float = 1.5
    pixel: float = 0.5e-3
    restlessness: float = 0.5
    white: float = 0.52e-3
    white_mean: float = 0.27e-3
    brightness: float = 0.03
    water_in_nir: float = 1.28
    near_cloud: float = 3.0e-3
    band: float = 1.9e-4
    band_exponent: float = 10.0
    floor: float = 2.8e-5
    shared: float = 1.2e-4
    shared_floor: float = 2.2e-5
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
    + \sum_k (L_k + l_k R) G_k(\lambda) - V R G_V(\lambda) + B(\lambda) + S(\lambda)
    + \epsilon(x, \lambda)`: the blue error of atmospheric correction, a white one, brightness, what stays of
    absorption lines and of water vapour, calibration (l holds the red detector's gain too), a pattern of
    bands, and noise.
    """
    blue, power = _blue(truth[:, int(np.abs(wavelength - NIR_NM).argmin())], pixels, config, scene)
    error = blue[:, None] * _from_blue(wavelength, power)  # (pixel, band)
    white = config.white * (scene.normal() + 0.25 * smooth_chance(pixels, 3 * config.local_km, scene))
    white += config.white_mean
    error += white[:, None] * (GREEN_NM / wavelength)
    error += truth * (config.brightness * smooth_chance(pixels, config.local_km, scene))[:, None]
    height, share = _lines(wavelength, config, scene, sensor)
    error += height + truth * share
    error -= truth * _vapour(wavelength, config, scene)
    error += _pattern(wavelength, config, scene)
    error += _noise(wavelength, len(truth), config, scene)
    return config.scale * error


def calibration_change(wavelength: FloatArray, config: NoiseConfig, rng: np.random.Generator) -> FloatArray:
    """What another calibration adds to Rrs, sr^-1, shape (n_bands,): that of near-real-time files differs."""
    blue, white = rng.normal(0, [0.12 * config.scene_spread, 0.4 * config.white])
    smooth = blue * _from_blue(wavelength, config.exponent) + white * GREEN_NM / wavelength
    return config.scale * (smooth + 0.5 * _pattern(wavelength, config, rng))


def _blue(
    nir: FloatArray, pixels: Pixels, config: NoiseConfig, rng: np.random.Generator
) -> tuple[FloatArray, float]:
    """Blue error of every pixel, shape (n,), and the power of wavelength by which it falls."""
    scene = config.scene_mean + config.scene_spread * rng.normal()
    scene -= config.scene_tail * rng.gamma(config.tail_shape)
    power = max(config.exponent + config.exponent_spread * rng.normal(), 1.0)
    rest = np.exp(config.restlessness * rng.normal())
    within = config.regional * smooth_chance(pixels, config.regional_km, rng)
    within += config.local * smooth_chance(pixels, config.local_km, rng) + config.pixel * rng.normal(
        size=nir.shape
    )
    blue = scene + rest * within
    blue -= config.water_in_nir * nir
    blue += config.near_cloud * pixels.near_cloud * rng.normal(0.2, 0.5, nir.shape)
    blue *= pixels.path
    return blue, power


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
    """What stays of lines and calibration, sr^-1 and as a share of reflectance, shape (n_bands,) each."""
    shape = _bumps(wavelength, LINES_NM, LINE_WIDTHS_NM)  # (line, band)
    usual = config.line_mean * (1 + INSTRUMENT_SPREAD * sensor.normal(size=LINES_NM.size))
    changing = np.where(LINES_STAY == 0, 0.0, config.line)
    height = usual * LINES_STAY + changing * scene.normal(size=LINES_NM.size)
    gas = 1 + GAS_SPREAD * scene.normal(size=LINES_NM.size)
    share = (usual * gas * LINES_SHARE) @ shape
    gain = config.line_mean * (RED_GAIN + RED_GAIN_SPREAD * scene.normal())
    share += np.where(wavelength < RED_DETECTOR_NM, 0.0, gain)
    bends = config.line_mean * _BENDS[:, 1] @ _bumps(wavelength, _BENDS[:, 0], BEND_WIDTH_NM)
    return height @ shape + bends, share


def _bumps(wavelength: FloatArray, middle: FloatArray, width: npt.ArrayLike) -> FloatArray:
    """Gaussians of height 1 by their middles and standard deviations, nm, shape (n_middles, n_bands)."""
    widths = np.broadcast_to(width, middle.shape)[:, None]
    return np.exp(-(((wavelength - middle[:, None]) / widths) ** 2) / 2)


def _vapour(wavelength: FloatArray, config: NoiseConfig, rng: np.random.Generator) -> FloatArray:
    """Share of reflectance that water vapour takes at the red end, shape (n_bands,)."""
    amount = 1 + VAPOUR_SCENE * rng.normal()
    (shape,) = _bumps(wavelength, np.array([VAPOUR_NM]), VAPOUR_WIDTH_NM)
    return config.line_mean * VAPOUR_SHARE * amount * shape


def _pattern(wavelength: FloatArray, config: NoiseConfig, rng: np.random.Generator) -> FloatArray:
    """A scene's error from band to band, shape (n_bands,)."""
    fall = (BLUE_NM / wavelength) ** config.pattern_exponent
    spread = np.hypot(config.pattern * fall, PATTERN_SHARE * _floor(wavelength, config))
    return spread * _neighbours_alike(wavelength.shape, rng)


def _floor(wavelength: FloatArray, config: NoiseConfig) -> FloatArray:
    """Noise of single bands that does not fall with wavelength, sr^-1, shape (n_bands,)."""
    return np.where(wavelength < RED_DETECTOR_NM, config.floor, config.floor * RED_FLOOR)


def _noise(wavelength: FloatArray, n: int, config: NoiseConfig, rng: np.random.Generator) -> FloatArray:
    """Noise of pixels, that of single bands and that which neighbours share, shape (n, n_bands)."""
    fall = (BLUE_NM / wavelength) ** config.band_exponent
    single = np.hypot(config.band * fall, _floor(wavelength, config))
    shared = np.hypot(config.shared * fall, config.shared_floor)
    nodes = np.arange(wavelength[0] - 6, wavelength[-1] + 6, SHARED_STEP_NM)
    weights = _bumps(wavelength, nodes, SHARED_NM)
    weights *= shared / np.sqrt((weights**2).sum(axis=0))
    noise = single * _neighbours_alike((n, wavelength.size), rng)
    noise += rng.standard_normal((n, nodes.size)) @ weights
    return noise


def _neighbours_alike(shape: tuple[int, ...], rng: np.random.Generator) -> FloatArray:
    """Noise of variance 1 along bands that overlap: neighbours share some of it, shape (..., n_bands)."""
    noise = rng.standard_normal((*shape[:-1], shape[-1] + 2))
    share = SHARED_BY_NEIGHBOURS
    return (noise[..., 1:-1] + share * (noise[..., :-2] + noise[..., 2:])) / np.sqrt(1 + 2 * share**2)
