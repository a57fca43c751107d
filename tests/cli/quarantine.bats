load helper

offer() {
	"$(dirname "$(realpath "$(command -v ledgerbox)")")/../tests/offer" ledger.db ledger.key "peer store-b" "$@"
}

# store-b in ../b shares the key; its events, as they are sent, are in the file `events`.
prepare() {
	a_ledger
	mkdir "$WORK/b"
	cp ledger.key b/
	(
		cd b
		ledgerbox init --node store-b --key-file ledger.key -q
		a_few 3
		ledgerbox tail --format json | sed -E 's/"position":[0-9]+,//' > ../events
	)
}

@test "what another node recorded is taken; quarantine stays empty" {
	works offer < events
	[ "$output" = 'inserted 3' ]
	works ledgerbox quarantine list
	[ -z "$output" ]
	works ledgerbox verify -q
	works ledgerbox status
	[[ "$output" != *quarantine* ]]
}

@test "a changed event is refused, shown, and answered by the right one" {
	sed 's/"n":1/"n":9/' events | head -n 1 > bad
	offer < bad > /dev/null
	works ledgerbox quarantine list
	[[ "$output" == '1  open  hash  store-b/'*'/inventory/1  1  '*'  peer store-b' ]]
	works ledgerbox status
	[[ "$output" == *'quarantine   1 open'*'ledgerbox quarantine list'* ]]
	works ledgerbox quarantine show 1
	[[ "$output" == *"$(cat bad)"* ]]
	fails 1 ledgerbox quarantine retry 1
	[[ "$stderr" == *'stays in quarantine: bad, hash'* ]]
	offer < events > /dev/null
	works ledgerbox quarantine list
	[ -z "$output" ]
	works ledgerbox quarantine list --all
	[[ "$output" == '1  answered  '* ]]
	works ledgerbox verify -q
}

@test "json has the claim, and show the bytes" {
	printf 'rubbish\n' | offer > /dev/null
	ledgerbox quarantine list --format json > list
	ledgerbox quarantine show 1 --format json > row
	python3 - <<-'END'
	import json
	listed, row = json.load(open("list")), json.load(open("row"))
	assert list(listed) == ["row", "state", "reason", "text", "source", "first", "last", "times", "size"]
	assert bytes.fromhex(row.pop("bytes")) == b"rubbish"
	assert row == listed and row["reason"] == "form" and row["size"] == 7
	END
}

@test "discard asks for a reason and records it" {
	printf 'rubbish\n' | offer > /dev/null
	fails 2 ledgerbox quarantine discard 1
	works ledgerbox quarantine discard 1 --reason 'a test'
	fails 1 ledgerbox quarantine discard 1 --reason 'a test'
	fails 1 ledgerbox quarantine show 2
	works ledgerbox tail --type quarantine_discarded --format payload
	[[ "$output" == *'"reason":"a test"}' ]]
	fails 2 ledgerbox quarantine show x
	[[ "$stderr" == *"'x' is not the number of a row"* ]]
}
