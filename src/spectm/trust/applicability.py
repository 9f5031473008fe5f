"""Is this spectrum like what the model learned from? One flag, with its reasons.

Limits are set so that a given share of the training dates is flagged, each judged by the other dates alone.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from spectm.errors import ApplicabilityError
from spectm.trust.familiar import Familiar
from spectm.trust.limits import date_weight, held_out, joint_limits
from spectm.trust.shape import RULES, broken_rules

__all__ = ["NEW_PLACE", "REASONS", "Applicability", "Flags"]

FloatArray = npt.NDArray[np.floating[Any]]
BoolArray = npt.NDArray[np.bool_]

REASONS = {
    "spectrum": "a spectrum unlike those learned from",
    "detail": "a spectrum with details that those learned from don't have",
    "shape": "a colour, brightness apart, unlike those learned from",
    "shape detail": "a colour with details that those learned from don't have",
    "embedding": "the encoder sees something unlike what it learned from",
    "embedding detail": "the encoder's view has details that were not learned from",
    "reconstruction": "hidden bands are not what the visible ones lead to expect",
    "missing bands": "more than a quarter of the bands is missing",
    "season": "a day of the year more than two weeks from any learned from",
    **{name: rule.explanation for name, rule in RULES.items()},
    "new place": "more than 10 km from any place learned from",
}
"""Every reason by its name, with what it says."""

NEW_PLACE = "new place"
"""The one reason that does not set the flag: a spectrum may look familiar anywhere."""

# The names of the two distances of each view: along its directions, and across them.
_DISTANCES = {
    "spectrum": ("spectrum", "detail"),
    "shape": ("shape", "shape detail"),
    "embedding": ("embedding", "embedding detail"),
}

SHORTEST_NM = 400.0  # below, over turbid water, values are errors of atmospheric correction
BRIGHT_NM = (500.0, 700.0)
LEAST_BRIGHT = 0.9  # of the bands there
FLAGGED_SHARE = 0.05
FEWEST_DATES = 5
MOST_MISSING = 0.25
SEASON_DAYS = 15.0
YEAR_DAYS = 365.25
NEW_PLACE_KM = 10.0
EARTH_RADIUS_KM = 6371.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Flags:
    """What is to be said of each spectrum.

    Parameters
    ----------
    flagged : ndarray of bool, shape (n,)
        True where there is any reason but a new place.
    reasons : dict of str to ndarray of bool, shape (n,)
        By the names of `REASONS`; those that could not be judged for want of an input are not there.
    distance : dict of str to ndarray, shape (n,)
        How far along each measured reason is: above 1 it is one. NaN where it could not be measured.
    """

    flagged: BoolArray
    reasons: dict[str, BoolArray]
    distance: dict[str, FloatArray]

    def texts(self) -> list[str]:
        """Names of the reasons of each spectrum, joined by "; "; empty where there is none."""
        return [
            "; ".join(name for name, found in self.reasons.items() if found[row])
            for row in range(self.flagged.size)
        ]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Applicability:
    """What the model learned from, in short, and where the unfamiliar begins.

    Parameters
    ----------
    wavelength : ndarray, shape (n_bands,)
        Band centres, nm.
    spectrum : Familiar
        Of the bands from 400 nm.
    shape : Familiar
        Of the same bands divided by their brightness, and of its logarithm: dark water of another colour is
        near to everything in the former and far from it in this.
    embedding : Familiar or None
    limits : dict of str to float
        Of each measured reason.
    days : ndarray, shape (n_days,)
        Days of the year learned from.
    places : ndarray, shape (n_places, 2)
        Latitude and longitude learned from, degrees; may be empty.
    held_out_share : float
        Share of the training dates that these limits flag, each judged by the others.
    water : bool
        Whether spectra have to keep the rules of water, and bands below 400 nm are left out; else all bands
        count, and make the brightness.
    """

    wavelength: FloatArray
    spectrum: Familiar
    shape: Familiar
    embedding: Familiar | None
    limits: dict[str, float]
    days: FloatArray
    places: FloatArray
    held_out_share: float
    water: bool = True

    @classmethod
    def fit(
        cls,
        spectra: FloatArray,
        wavelength: FloatArray,
        dates: npt.NDArray[Any],
        day_of_year: FloatArray,
        *,
        embedding: FloatArray | None = None,
        reconstruction: FloatArray | None = None,
        places: FloatArray | None = None,
        share: float = FLAGGED_SHARE,
        water: bool = True,
    ) -> Self:
        """Learn from the spectra that a model learned from.

        Parameters
        ----------
        spectra : ndarray, shape (n, n_bands)
            Mean reflectance, sr^-1. Rows with a gap, or without light, are left out.
        wavelength : ndarray, shape (n_bands,)
            Band centres, nm, increasing.
        dates : ndarray, shape (n,)
            Of the overpasses; each counts the same.
        day_of_year : ndarray, shape (n,)
        embedding : ndarray, shape (n, n_columns), optional
            What an encoder makes of each.
        reconstruction : ndarray, shape (n,), optional
            Error of the hidden bands of each, in any unit that stays the same.
        places : ndarray, shape (n, 2), optional
            Latitude and longitude, degrees; NaN is not known.
        share : float
            Of the dates, to be flagged.
        water : bool
            False for leaves, minerals and whatever else: the rules of water are not asked.

        Raises
        ------
        ApplicabilityError
            If there are complete spectra of fewer than five dates, or inputs do not fit each other.
        """
        _check_shapes(len(spectra), embedding=embedding, reconstruction=reconstruction, places=places)
        use = _complete(spectra, wavelength, dates, embedding, reconstruction, water)
        seen = spectra[use]
        views = {"spectrum": seen[:, _kept(wavelength, water)], "shape": _shape(seen, wavelength, water)}
        if embedding is not None:
            views["embedding"] = embedding[use]
        scores, weight = {}, date_weight(dates[use])
        for name, columns in views.items():
            along, across = _DISTANCES[name]
            scores[along], scores[across] = held_out(columns, dates[use], weight)
        known = {name: Familiar.fit(columns, weight) for name, columns in views.items()}
        if reconstruction is not None:
            scores["reconstruction"] = reconstruction[use]
        broken = np.zeros(len(seen), dtype=np.bool_)
        if water:
            broken = np.any(list(broken_rules(seen, wavelength).values()), axis=0)
        limits, flagged = joint_limits(scores, weight, broken, share)
        return cls(
            wavelength=wavelength.astype(np.float64),
            spectrum=known["spectrum"],
            shape=known["shape"],
            embedding=known.get("embedding"),
            limits=limits,
            days=np.unique(day_of_year[use]).astype(np.float64),
            places=_distinct(places),
            held_out_share=flagged,
            water=water,
        )

    def flag(
        self,
        spectra: FloatArray,
        day_of_year: FloatArray,
        *,
        embedding: FloatArray | None = None,
        reconstruction: FloatArray | None = None,
        places: FloatArray | None = None,
    ) -> Flags:
        """Judge spectra; parameters as for `fit`, bands that are missing being NaN.

        What is not given is not judged: without places, no place is new.

        Raises
        ------
        ApplicabilityError
            If the bands are others, or an embedding or error is given that was not learned from.
        """
        self._check(spectra, embedding=embedding, reconstruction=reconstruction, places=places)
        distance: dict[str, FloatArray] = {}
        kept = spectra[:, _kept(self.wavelength, self.water)]
        shape = _shape(spectra, self.wavelength, self.water)
        distance["spectrum"], distance["detail"] = self.spectrum.distance(kept)
        distance["shape"], distance["shape detail"] = self.shape.distance(shape)
        if embedding is not None and self.embedding is not None:
            distance["embedding"], distance["embedding detail"] = self.embedding.distance(embedding)
        if reconstruction is not None:
            distance["reconstruction"] = reconstruction
        distance = {name: value / self.limits[name] for name, value in distance.items()}
        distance["missing bands"] = (~np.isfinite(spectra)).mean(axis=1) / MOST_MISSING
        distance["season"] = _days_apart(day_of_year, self.days) / SEASON_DAYS
        reasons = {name: value > 1 for name, value in distance.items()}
        reasons |= broken_rules(spectra, self.wavelength) if self.water else {}
        flagged = np.any(list(reasons.values()), axis=0)
        if places is not None and len(self.places):
            distance[NEW_PLACE] = _km_apart(places, self.places) / NEW_PLACE_KM
            reasons[NEW_PLACE] = distance[NEW_PLACE] > 1
        return Flags(flagged=flagged, reasons=reasons, distance=distance)

    def to_dict(self) -> dict[str, Any]:
        """Return everything as numbers, for JSON."""
        return {
            "wavelength": self.wavelength.tolist(),
            "spectrum": self.spectrum.to_dict(),
            "shape": self.shape.to_dict(),
            "embedding": None if self.embedding is None else self.embedding.to_dict(),
            "limits": dict(self.limits),
            "days": self.days.tolist(),
            "places": self.places.tolist(),
            "held_out_share": self.held_out_share,
            "water": self.water,
        }

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> Self:
        """Read what `to_dict` gave.

        Raises
        ------
        ApplicabilityError
            If something of it is missing or can't be.
        """
        try:
            embedding = stored["embedding"]
            return cls(
                wavelength=np.array(stored["wavelength"], dtype=np.float64),
                spectrum=Familiar.from_dict(stored["spectrum"]),
                shape=Familiar.from_dict(stored["shape"]),
                embedding=None if embedding is None else Familiar.from_dict(embedding),
                limits={name: float(value) for name, value in stored["limits"].items()},
                days=np.array(stored["days"], dtype=np.float64),
                places=np.array(stored["places"], dtype=np.float64).reshape(-1, 2),
                held_out_share=float(stored["held_out_share"]),
                water=bool(stored.get("water", True)),  # models of before are of water
            )
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise ApplicabilityError(
                f"a stored applicability is damaged: {error!r}. Train the model again."
            ) from error

    def _check(self, spectra: FloatArray, **more: FloatArray | None) -> None:
        if spectra.ndim != 2 or spectra.shape[1] != self.wavelength.size:
            raise ApplicabilityError(
                f"applicability: wanted spectra of the {self.wavelength.size} bands learned from, found "
                f"shape {spectra.shape}. Resample them first, with NaN for bands that are not there."
            )
        _check_shapes(len(spectra), **more)
        for name in ("embedding", "reconstruction"):
            if more[name] is not None and name not in self.limits:
                raise ApplicabilityError(
                    f"applicability: found {name}, which was not learned from; known are "
                    f"{', '.join(self.limits)}. Leave it out, or give it when fitting."
                )


def _check_shapes(n: int, **more: FloatArray | None) -> None:
    for name, values in more.items():
        wanted = {"embedding": f"({n}, n_columns)", "reconstruction": f"({n},)", "places": f"({n}, 2)"}[name]
        ndim = 1 if name == "reconstruction" else 2
        if values is not None and (
            len(values) != n or values.ndim != ndim or (name == "places" and values.shape[1] != 2)
        ):
            raise ApplicabilityError(
                f"applicability: wanted {name} of shape {wanted}, found {values.shape}. Are they of the same "
                "spectra?"
            )


def _complete(
    spectra: FloatArray,
    wavelength: FloatArray,
    dates: npt.NDArray[Any],
    embedding: FloatArray | None,
    reconstruction: FloatArray | None,
    water: bool,
) -> BoolArray:
    """Rows without a gap in anything that is given; an error where they are of too few dates."""
    use = np.isfinite(spectra).all(axis=1) & np.isfinite(_shape(spectra, wavelength, water)[:, -1])
    for more in (embedding, reconstruction):
        if more is not None:
            use &= np.isfinite(more.reshape(len(more), -1)).all(axis=1)
    n_dates = np.unique(dates[use]).size
    if n_dates < FEWEST_DATES:
        raise ApplicabilityError(
            f"applicability: wanted complete spectra of {FEWEST_DATES} dates or more, found "
            f"{int(use.sum())} of {n_dates}. Give all patches that the model learned from."
        )
    return use


def _kept(wavelength: FloatArray, water: bool) -> BoolArray:
    """Bands that are looked at, shape (n_bands,)."""
    return wavelength >= SHORTEST_NM if water else np.ones(wavelength.size, dtype=np.bool_)


def _shape(spectra: FloatArray, wavelength: FloatArray, water: bool) -> FloatArray:
    """Bands that are looked at in units of the brightness, and its logarithm.

    NaN where there is no light, or too few bands to tell: a gap would shift the brightness.
    """
    visible = (wavelength >= BRIGHT_NM[0]) & (wavelength <= BRIGHT_NM[1])
    bright = spectra[:, visible] if water else spectra
    there = np.isfinite(bright)
    mean = np.where(there, bright, 0.0).sum(axis=1) / np.maximum(there.sum(axis=1), 1)
    told = (mean > 0) & (there.sum(axis=1) >= LEAST_BRIGHT * bright.shape[1])
    brightness = np.where(told, mean, np.nan)[:, None]
    return np.hstack([spectra[:, _kept(wavelength, water)] / brightness, np.log(brightness)])


def _distinct(places: FloatArray | None) -> FloatArray:
    """Places that are known, each once."""
    known = np.empty((0, 2)) if places is None else places[np.isfinite(places).all(axis=1)]
    return np.unique(known.astype(np.float64).round(4), axis=0)


def _days_apart(day: FloatArray, known: FloatArray) -> FloatArray:
    """Days from the nearest known day of the year, over the turn of the year too."""
    apart = np.abs(np.asarray(day, dtype=np.float64)[:, None] - known)
    return np.minimum(apart, YEAR_DAYS - apart).min(axis=1)


def _km_apart(places: FloatArray, known: FloatArray) -> FloatArray:
    """Great-circle distance from the nearest known place, km; NaN where a place is not known."""
    here, there = np.radians(places)[:, None, :], np.radians(known)[None, :, :]
    half = np.sin((here - there) / 2) ** 2
    angle = half[..., 0] + np.cos(here[..., 0]) * np.cos(there[..., 0]) * half[..., 1]
    return (2 * EARTH_RADIUS_KM * np.arcsin(np.sqrt(np.clip(angle, 0.0, 1.0)))).min(axis=1)
