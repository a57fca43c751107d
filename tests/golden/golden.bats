# The golden files among themselves: no ledgerbox takes part.

setup() {
	cd "$BATS_TEST_TMPDIR" || return 1
	golden=$BATS_TEST_DIRNAME
}

@test "the vectors are written again byte for byte" {
	"$golden/vectors.py" again.json
	cmp "$golden/vectors.json" again.json
}

@test "the golden ledger verifies, with and without marks" {
	for events in 300 1100; do
		mkdir "$events"
		"$golden/make_ledger.py" "$events" "$events"
		"$golden/verify.py" "$events"/golden.db "$events"/golden-a.key "$events"/golden-b.key
	done
}

@test "a changed byte is found without ledgerbox" {
	"$golden/make_ledger.py" . 300
	sqlite3 golden.db "DROP TRIGGER event_no_update;
		UPDATE event SET type = type || 'x' WHERE position = 200"
	run "$golden/verify.py" golden.db golden-a.key golden-b.key
	[ "$status" -eq 3 ]
}
