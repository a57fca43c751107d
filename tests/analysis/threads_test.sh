#!/bin/bash
# threads - ThreadSanitizer watches everything that has threads, verify's workers first of all, and
# finds nothing. Daemons too: nodes with a real server become equal, one of them through TLS.
#
# SQLite is Debian's and not watched itself: its mutexes are seen, and what it touches between them is
# its own affair.
set -u
cd "$(dirname "$0")/../.." || exit 2

build=build-threads
tests=(verify verify_range verify_last verify_keys writers watch backup recover)

said=$({
	[ -f $build/build.ninja ] ||
		meson setup -Db_lto=false -Db_sanitize=thread -Db_lundef=false --buildtype=debugoptimized $build
} 2>&1) || { echo "$said" && exit 2; }
for i in "${!tests[@]}"; do
	[ -f "tests/unit/${tests[i]}_test.c" ] || unset "tests[i]"
done
programs=("${tests[@]/#/tests/}")
said=$(ninja -C $build cmd/ledgerbox "${programs[@]/%/_test}" 2>&1) || { echo "$said" && exit 2; }

failed=0
cd tests || exit 2
for name in "${tests[@]}"; do
	# The C library's and SQLite's sources of false alarms would be named in a file of suppressions:
	# there are none.
	said=$(TSAN_OPTIONS=halt_on_error=1:exitcode=99:second_deadlock_stack=1 "../$build/tests/${name}_test" 2>&1) ||
		{ echo "$name: $said" && failed=1; }
done
# libnats is Debian's too. Reports go to files: a daemon's stderr is its log.
reports=$(mktemp -d)
trap 'rm -rf "$reports"' EXIT
LEDGERBOX_BIN=$(realpath "../$build/cmd/ledgerbox")
export LEDGERBOX_BIN PYTHONDONTWRITEBYTECODE=1
export TSAN_OPTIONS=halt_on_error=1:exitcode=99:log_path=$reports/report
converge=(two_nodes_become_equal three_nodes_become_equal_after_the_store_is_wiped
	a_second_cluster_is_used_while_the_first_is_down)
said=$(sync/converge_test.py "${converge[@]}" 2>&1) || { echo "$said" && failed=1; }
said=$(sync/settings_test.py tls_with_client_certificates 2>&1) || { echo "$said" && failed=1; }
for report in "$reports"/report*; do
	[ ! -f "$report" ] || { cat "$report" && failed=1; }
done
exit $failed
