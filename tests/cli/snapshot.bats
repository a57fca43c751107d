# snapshot: stored states.

load helper

prepare() {
	a_ledger
	put product/sku-1 '{"a":1}'
	put product/sku-1 '{"b":2}'
	put product/sku-2 '{"a":1}'
	put order/1 '{"a":1}'
}

put() {
	ledgerbox append -d inventory -t changed -s "$1" "$2" > /dev/null
}

stored() {
	ledgerbox snapshot list "$@" --format json | jq -r '"\(.stream) \(.position) \(.verdict)"'
}

@test "one is taken of each stream named, and passed over where nothing is new" {
	works ledgerbox snapshot take product/sku-1 order/1
	[ "$output" = $'product/sku-1  inventory  position 2  2 events\norder/1  inventory  position 4  1 events' ]
	works ledgerbox snapshot take product/sku-1
	[ -z "$output" ]
	[[ $stderr == *'0 taken, 1 passed over' ]]
	[ "$(stored)" = $'order/1 4 good\nproduct/sku-1 2 good' ]
	works ledgerbox snapshot take -q product/sku-2
	[ -z "$output$stderr" ]
	fails 1 ledgerbox snapshot take product/none
}

@test "of all, of a type, and only where so many events are new" {
	works ledgerbox snapshot take --all --type product --every 2
	[ "$(stored)" = 'product/sku-1 2 good' ]
	works ledgerbox snapshot take --all --type product
	[ "$(stored)" = $'product/sku-1 2 good\nproduct/sku-2 3 good' ]
	works ledgerbox snapshot take --all -d nowhere
	works ledgerbox snapshot take --all
	[ "$(stored | wc -l)" -eq 3 ]
	[ "$(stored product/)" = $'product/sku-1 2 good\nproduct/sku-2 3 good' ]
	[ "$(stored product/sku-2)" = 'product/sku-2 3 good' ]
}

@test "show prints the state, as text and as JSON" {
	ledgerbox snapshot take -q product/sku-1
	works ledgerbox snapshot show product/sku-1
	[ "${lines[1]}" = '{"a":1,"b":2}' ]
	works ledgerbox snapshot show product/sku-1 --format json
	[ "$(jq -c '[.events, .version, .schema, .state, .last.hash]' <<< "$output")" = "[2,2,1,{\"a\":1,\"b\":2},\"$(ledgerbox show 2 --format json | jq -r .hash)\"]" ]
	fails 1 ledgerbox snapshot show product/sku-2
	[[ $stderr == *'there is no snapshot of product/sku-2'* ]]
}

@test "check folds again: good is 0, stale 1, unverified 15, damaged 3" {
	ledgerbox snapshot take -q --all
	works ledgerbox snapshot check
	[ "$(grep -c 'good$' <<< "$output")" -eq 3 ]
	works ledgerbox snapshot check -q
	[ -z "$output" ]
	fails 1 ledgerbox snapshot check product/none
	[[ $stderr == *'there is no snapshot of product/none'* ]]
	printf 'reducers: {order: last}\n' >> ledger.yaml
	fails 1 ledgerbox snapshot check -q
	[[ $output == *'order/1'*'stale: its reducer or an upcaster has changed since'* ]]
	ledgerbox init --node other -q --database other.db --config other.yaml --key-file other.key
	fails 15 ledgerbox snapshot check -q --key-file other.key
	sqlite3 ledger.db "update snapshot set state = '{\"a\":2}' where stream = 'product/sku-2'"
	fails 3 ledgerbox snapshot check -q
	[[ $output == *'product/sku-2'*'damaged: its digest is not that of its content'* ]]
	[[ $stderr == *'2 of 3 snapshots are not good'* ]]
}

@test "what is not good is said and not used" {
	ledgerbox snapshot take -q product/sku-2
	sqlite3 ledger.db "update snapshot set state = '{\"a\":2}'"
	works ledgerbox state product/sku-2
	[ "$output" = '{"a":1}' ]
	[[ $stderr == *'the snapshot of product/sku-2 at position 3 is not used: its digest is not that of its content'* ]]
	# And take makes a good one in its place.
	works ledgerbox snapshot take -q product/sku-2
	[ "$(stored)" = 'product/sku-2 3 good' ]
}

@test "after a recover those from before are stale" {
	ledgerbox snapshot take -q product/sku-1
	ledgerbox recover --offline --force --reason test > /dev/null
	[[ $(ledgerbox snapshot list) == *'stale: it was taken in epoch '* ]]
	[ "$(ledgerbox state -q product/sku-1)" = '{"a":1,"b":2}' ]
}

@test "prune keeps the newest so many, or what is young" {
	for n in 1 2 3; do
		ledgerbox snapshot take -q product/sku-1 product/sku-2
		put product/sku-1 '{}'
		put product/sku-2 '{}'
	done
	works ledgerbox snapshot prune --keep 1 --dry-run
	[[ $stderr == *'4 snapshots would be deleted' ]]
	[ "$(stored | wc -l)" -eq 6 ]
	works ledgerbox snapshot prune --older-than 1h
	[ "$(stored | wc -l)" -eq 6 ]
	works ledgerbox snapshot prune --keep 1 product/sku-2
	[ "$(stored | wc -l)" -eq 4 ]
	works ledgerbox snapshot prune --keep 1
	[ "$(stored)" = $'product/sku-1 7 good\nproduct/sku-2 8 good' ]
	works ledgerbox snapshot prune --keep 0
	[ -z "$(stored)" ]
	fails 2 ledgerbox snapshot prune
}

@test "snapshots leave the ledger verified, and its backup has them" {
	ledgerbox snapshot take -q --all
	works ledgerbox verify --deep
	works ledgerbox backup -q copy.db
	[ "$(sqlite3 copy.db 'select count(*) from snapshot')" -eq 3 ]
}

@test "usage" {
	fails 2 ledgerbox snapshot
	fails 2 ledgerbox snapshot take
	fails 2 ledgerbox snapshot take --all product/sku-1
	fails 2 ledgerbox snapshot take --type product product/sku-1
	fails 2 ledgerbox snapshot take --all --type product/
	fails 2 ledgerbox snapshot show
	fails 2 ledgerbox snapshot forget
}
