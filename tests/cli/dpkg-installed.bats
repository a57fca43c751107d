# A projection of this machine's own package log says what dpkg says.

load helper

LOG=/var/log/dpkg.log

@test "installed packages, from the log alone, are those of dpkg-query" {
	command -v dpkg-query > /dev/null || skip "no dpkg-query"
	[ -s "$LOG" ] && [ -r "$LOG" ] || skip "no $LOG"
	a_ledger
	# A log may end in the middle of a line, or grow while it is read: one moment of it.
	cp "$LOG" log
	dpkg-query -W -f '${Package}\t${Architecture}\t${Version}\t${db:Status-Status}\n' | sort > dpkg
	"$BATS_TEST_DIRNAME/../dpkg-events" log 2> /dev/null | ledgerbox append -q
	cp "$BATS_TEST_DIRNAME/../data/installed.sql" .
	cat "$BATS_TEST_DIRNAME/../data/installed.yaml" >> ledger.yaml
	works ledgerbox replay
	[ "$(sqlite3 installed.db 'select count(*) from installed')" -gt 0 ]
	# Each that the log knows is for dpkg what it is here; one that is gone dpkg may have forgotten.
	sqlite3 -separator $'\t' installed.db "select * from installed where status <> 'not-installed'" | sort > ours
	comm -13 dpkg ours > differ
	[ ! -s differ ] || { cat differ && return 1; }
	# And what dpkg has of these packages in addition would be missing here.
	sqlite3 -separator $'\t' installed.db "select package, arch from installed where status = 'not-installed'" |
		while IFS=$'\t' read -r package arch; do
			awk -F '\t' -v p="$package" -v a="$arch" '$1 == p && $2 == a && $4 == "installed"' dpkg
		done > differ
	[ ! -s differ ] || { cat differ && return 1; }
}

@test "what has no architecture, in the log of a new system, is passed over" {
	a_ledger
	printf '2026-11-21 16:00:00 %s\n' 'upgrade dpkg 1.21.23 1.21.23' 'status half-installed dpkg 1.21.23' \
		'status unpacked dpkg:amd64 1.21.23' 'status installed dpkg:amd64 1.21.23' |
		"$BATS_TEST_DIRNAME/../dpkg-events" | ledgerbox append -q
	cp "$BATS_TEST_DIRNAME/../data/installed.sql" .
	cat "$BATS_TEST_DIRNAME/../data/installed.yaml" >> ledger.yaml
	works ledgerbox replay
	[ "$(sqlite3 installed.db 'select * from installed')" = 'dpkg|amd64|1.21.23|installed' ]
}
