#!/usr/bin/env bash
# Trains the released model anew: five pretrainings, one blend on each, all data of DATA. `make release` runs this.
set -euo pipefail

data=${1:?"usage: tools/release.sh DATA OUT"} out=${2:?"usage: tools/release.sh DATA OUT"}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

pretrained=()
for seed in 0 1 2 3 4; do
    spectm pretrain --patches "$data/pace_station_patches.nc" --patches "$data/pace_pixels.nc" \
        --out "$work/$seed" --seed "$seed" --device cpu
    pretrained+=(--pretrained "$work/$seed")
done
spectm finetune "${pretrained[@]}" --patches "$data/pace_station_patches.nc" --labels "$data/glerl" --out "$work/model"
rm "$work/model/settings.toml" # checkpoint.json has them
mkdir -p "$out"
rm -f "$out"/weights-*.safetensors
cp "$work/model"/* "$out"
du -sh "$out"
