#!/usr/bin/env bash
# Installs the wheel of dist/ into an empty environment outside the tree and uses it there: from tables to a prediction, and the tours.
#
#   tools/try-wheel.sh newest [TOUR.md...]   with the newest versions that pyproject.toml allows
#   tools/try-wheel.sh lowest [TOUR.md...]   with its lower bounds
#
# `make dist` runs both after building. PYTHON chooses the interpreter, TORCH the version of torch: without it that of
# constraints.txt, as others may bring gigabytes of CUDA.
set -euo pipefail
which=${1:?"usage: tools/try-wheel.sh newest|lowest [TOUR.md...]"}
shift

tree=$(cd "$(dirname "$0")/.." && pwd)
wheels=("$tree"/dist/*.whl)
if [[ ${#wheels[@]} -ne 1 || ! -f ${wheels[0]} ]]; then
    echo "try-wheel: wanted one wheel in dist/, found ${#wheels[@]}: ${wheels[*]}. Run: make dist" >&2
    exit 1
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'echo "try-wheel: FAILED in line $LINENO: $BASH_COMMAND" >&2' ERR
unset PYTHONPATH PYTHONDONTWRITEBYTECODE
extras=(explain fetch geo serve)
tours=()
for tour in "$@"; do tours+=("$(realpath "$tour")"); done
cd "$work"

step() { printf '\n== %s\n' "$*"; "$@"; }

step "${PYTHON:-python3}" -m venv environment
echo "torch==${TORCH:-$(sed -n 's/^torch==//p' "$tree/constraints.txt")}" > wanted.txt
case $which in
    newest) ;;
    lowest) environment/bin/python "$tree/tools/lowest.py" "${extras[@]}" >> wanted.txt ;;
    *) echo "try-wheel: wanted newest or lowest, found $which" >&2; exit 2 ;;
esac
step environment/bin/python -m pip install --quiet --disable-pip-version-check -c wanted.txt \
    "${wheels[0]}[$(IFS=,; echo "${extras[*]}")]"
PATH="$work/environment/bin:$PATH"
hash -r
pip freeze --disable-pip-version-check | grep -i -E '^(dask|fastapi|h5py|numpy|pandas|scikit-learn|torch|xarray|zarr)=='

cat > make_data.py <<'PYTHON'
"""Writes a few patches and laboratory samples of a lake that does not exist."""

from pathlib import Path

import numpy as np

import spectm
from spectm.data.patches import Patches, write_patches
from spectm.spectral.sensors import named_sensor

assert "site-packages" in spectm.__file__, f"not the installed wheel: {spectm.__file__}"

rng = np.random.default_rng(0)
nm = named_sensor("oci-aop-v3").wavelength
day, station = np.divmod(np.arange(24), 3)  # eight dates, three stations
bloom = np.sin(np.pi * (day + 1) / 9) * rng.uniform(0.5, 1.5, 24)
spectrum = 0.004 + 0.006 * np.exp(-(((nm - 560) / 60) ** 2))
spectrum = spectrum + bloom[:, None] * 0.004 * np.exp(-(((nm - 705) / 12) ** 2))
Rrs = spectrum[..., None, None] * rng.normal(1, 0.02, (24, nm.size, 3, 3))
time = np.datetime64("2024-07-01T18:00", "ns") + day * np.timedelta64(8, "D")
names = np.array(["A", "B", "C"])[station]
place = {"latitude": np.full(24, 41.7), "longitude": np.full(24, -83.3)}
write_patches(
    Patches(Rrs=Rrs.astype("float32"), wavelength=nm, time=time, station=names, source="made up", **place),
    Path("patches.nc"),
)

lines = ["station,time,microcystin"]
for year in (2022, 2024):  # the climatology is of 2022 and earlier
    for name, moment, value in zip(names, time.astype("datetime64[m]"), 10 ** (bloom - 0.7), strict=True):
        text = f"{value:.2f}" if value > 0.5 else "<0.5"
        lines.append(f"{name},{year}{str(moment)[4:]}Z,{text}")
Path("labels.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
PYTHON

step spectm --version
step spectm windows --sensor oci-aop-v3
step python make_data.py
step spectm pretrain --patches patches.nc --out pretrained --device cpu --set pretraining.loop.steps=4
step spectm finetune --pretrained pretrained --patches patches.nc --labels labels.csv --out model
step spectm predict --model model --patches patches.nc --out estimates.csv
step head -n 4 estimates.csv

n_estimates=$(awk -F, 'NR > 1 && $5 + 0 > 0' estimates.csv | wc -l)
[[ $n_estimates -eq 24 ]] || { echo "try-wheel: wanted 24 estimates, found $n_estimates" >&2; exit 1; }

for tour in "${tours[@]}"; do
    name=$(basename "$tour" .md)
    mkdir "$name"
    python "$tree/tools/tour.py" "$tour" > "$name.sh"
    started=$SECONDS
    printf '\n== the tour %s\n' "$name"
    (cd "$name" && bash "../$name.sh" > ../"$name.log" 2>&1) || { tail -n 30 "$name.log" >&2; false; }
    echo "took $((SECONDS - started)) seconds"
done

echo
echo "try-wheel: with the $which versions $(basename "${wheels[0]}") installs into an empty environment and predicts there"
