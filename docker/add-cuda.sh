#!/bin/sh
# Puts llama.cpp for CUDA into node_modules, of the release that is installed: package.json leaves it out (500 MB).
# Run it in the root of a checkout, after npm ci, on Linux x64.
set -eu

version=$(node -p 'require("./node_modules/node-llama-cpp/package.json").version')
for name in linux-x64-cuda linux-x64-cuda-ext; do
  place=node_modules/@node-llama-cpp/$name
  archive=$(npm pack --silent "@node-llama-cpp/$name@$version")
  rm -rf "$place"
  mkdir -p "$place"
  tar -xzf "$archive" --strip-components=1 -C "$place"
  rm "$archive"
  echo "$place $version"
done
