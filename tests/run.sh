#!/usr/bin/env bash
# npm test [-- SUITE…]: installs what the tests need and runs the named suites, or all of them.
# A suite is a folder of tests/ (browser, e2e, faults, …), or `unit`: the tests beside the code they test.
set -eu
cd "$(dirname "$0")/.."

paths=()
for suite in "$@"; do
  if [ "$suite" = unit ]; then
    for folder in base bench cli client contract ddl sdk server testing workers tests/house; do
      [ -d "$folder" ] && paths+=("./$folder/")
    done
  elif [ -d "tests/$suite" ]; then
    paths+=("./tests/$suite/")
  else
    suites=$(cd tests && for entry in */; do printf '%s ' "${entry%/}"; done)
    echo "npm test: there is no suite named $suite; suites are: unit $suites" >&2
    exit 2
  fi
done

npm install
bash tests/prepare.sh
npm run --silent build
exec node_modules/.bin/bun test --timeout 120000 ${paths[@]+"${paths[@]}"}
