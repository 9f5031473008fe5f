"""The model behind predictions, found again and known by its weights."""

import hashlib

from spectm.apps.store import Store
from spectm.errors import StoreError
from spectm.training.checkpoint import read_checkpoint
from spectm.training.forecaster import Forecaster
from spectm.training.released import forecaster_of, model_folder

__all__ = ["model_behind"]


def model_behind(store: Store, name: str | None = None) -> Forecaster:
    """The model that predictions were made with.

    Parameters
    ----------
    store : Store
    name : str, optional
        A released model's name, or a folder; without it, where the store says that it was.

    Raises
    ------
    CheckpointError
        If there is no model.
    StoreError
        If its weights are others.
    """
    known = store.record["model"]
    if name is None:
        folder = known.get("folder", "")
        name = str(store.folder / folder) if folder else str(known["name"])
    checkpoint = read_checkpoint(model_folder(name))
    weights = (checkpoint.folder / checkpoint.meta["files"]["weights"]).read_bytes()
    found, wanted = hashlib.sha256(weights).hexdigest(), str(known["weights_sha256"])
    if found != wanted:
        raise StoreError(
            f"wanted the model behind {store.folder} (weights {wanted[:16]}), found {found[:16]} in {name}. "
            "Give the folder of that model, or predict again with this one."
        )
    return forecaster_of(checkpoint)
