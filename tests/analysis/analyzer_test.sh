#!/bin/bash
# analyzer_test - gcc's -fanalyzer follows each function of lib/ and cmd/ through its branches and finds
# nothing. facts.h tells it what it cannot see in one file.
set -u
cd "$(dirname "$0")/../.." || exit 2

analyze() {
	local facts=(-include tests/analysis/facts.h)
	[ "$1" != lib/base/error.c ] || facts=() # which defines what facts.h is about
	gcc -fanalyzer -Werror -O1 -std=c11 -D_GNU_SOURCE -DLEDGERBOX_VERSION='""' "${facts[@]}" -c "$1" -o /dev/null
}
export -f analyze

# shellcheck disable=SC2016 # for the inner shell
find lib cmd -name '*.c' -print0 | xargs -0 -P 2 -I{} bash -c 'analyze "$1"' - {}
