load helper

offer() {
	"$(dirname "$(realpath "$(command -v ledgerbox)")")/../tests/offer" ledger.db ledger.key "peer store-b" "$@"
}

sent() {
	ledgerbox tail --format json | sed -E 's/"position":[0-9]+,//'
}

# store-b in ../b was put back after one event, in place and with its state, and went on: x and y.
prepare() {
	a_ledger
	mkdir "$WORK/b"
	cp ledger.key b/
	cd b
	ledgerbox init --node store-b --key-file ledger.key -q
	a_few 1
	sqlite3 ledger.db 'pragma wal_checkpoint(truncate)' > /dev/null
	cp ledger.db older
	cp -r "$XDG_STATE_HOME" older.state
	a_few 2
	sent > ../x
	rm -f ledger.db-wal ledger.db-shm
	cat older > ledger.db
	rm -rf "$XDG_STATE_HOME"
	cp -r older.state "$XDG_STATE_HOME"
	a_few 3
	sent > ../y
	cd ..
	branch=$(sed -n 2p y | jq -r .hash)
}

@test "a fork is said by status and verify, and listed" {
	cat x y | offer > result
	[ "$(cat result)" = $'inserted 3\nknown 1\nforked 3' ]
	works ledgerbox fork list
	[[ "$output" == "${branch:0:16}  open  store-b/"*'/inventory/2  3 events  '* ]]
	works ledgerbox status
	[[ "$output" == *'forks        1 OPEN'*'-> ledgerbox fork list'* ]]
	fails 3 ledgerbox verify
	[[ "$output$stderr" == *FORK* ]]
}

@test "show has both events" {
	cat x y | offer > /dev/null
	ledgerbox fork show "${branch:0:8}" --format json > fork
	python3 - <<-'END'
	import json
	fork = json.load(open("fork"))
	x, y = ([json.loads(line) for line in open(name)] for name in "xy")
	assert fork["here_event"] == x[1] and fork["branch_event"] == y[1]
	assert fork["here"] == x[1]["hash"] and fork["branch"] == y[1]["hash"]
	assert fork["events"] == 3 and fork["whole"] is True and "settled" not in fork
	END
	works ledgerbox fork show "$branch"
	[[ "$output" == *'in the chain here:'*'in the branch:'* ]]
	works ledgerbox fork show "$branch" --events
	[ "$output" = "$(tail -n +2 y)" ]
	fails 1 ledgerbox fork show 0000000000
	fails 2 ledgerbox fork show 00
	fails 2 ledgerbox fork show
}

@test "settled, it verifies, and the decision is an event" {
	cat x y | offer > /dev/null
	fails 2 ledgerbox fork settle "$branch"
	fails 14 ledgerbox fork settle "$branch" --reason r --record-again
	works ledgerbox fork settle "$branch" --reason 'till 3 was restored'
	[[ "$output" == 'settled, position 4; 0 recorded again, '* ]]
	works ledgerbox verify -q
	works ledgerbox fork list
	[[ "$output" == *'  settled  '* ]]
	works ledgerbox tail --type fork_settled --format payload
	[[ "$output" == *'"reason":"till 3 was restored"}' ]]
	fails 1 ledgerbox fork settle "$branch" --reason again
}
