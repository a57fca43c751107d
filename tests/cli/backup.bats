load helper

prepare() {
	a_ledger
	a_few 3
}

@test "a backup verifies, has the heads it prints, and leaves nothing beside it" {
	mkdir to
	ledgerbox backup to/copy.db > heads 2> talk
	[ "$(ls to)" = copy.db ]
	grep -q 'key and config are not in it' talk
	grep -q 'run: ledgerbox recover (without other nodes: ledgerbox recover --offline)' talk
	works ledgerbox verify --database to/copy.db --expect-heads heads
	[[ $output == *"verified events 1..3 of 3"*"MACs"* ]]
	[ "$(ledgerbox status --heads)" = "$(cat heads)" ]
	[ "$(stat -c %a to/copy.db)" = 600 ]
	[ "$(ledgerbox tail -n all --format json --database to/copy.db 2> /dev/null)" = "$(ledgerbox tail -n all --format json)" ]
}

@test "JSON says file, events, link and heads" {
	works ledgerbox backup copy.db --format json
	[ "$(python3 -c 'import json, sys; r = json.loads(sys.argv[1]); print(r["file"], r["events"], len(r["link"]), [h["sequence"] for h in r["heads"]])' "$output")" = "copy.db 3 64 [3]" ]
	[ "$(python3 -c 'import json, sys; print(json.loads(sys.argv[1])["link"])' "$output")" = "$(sqlite3 ledger.db 'select lower(hex(link)) from seal')" ]
}

@test "-q prints the heads and no talk" {
	works ledgerbox backup copy.db -q
	[ -n "$output" ]
	[ -z "$stderr" ]
}

@test "an existing file is refused, and replaced with --force" {
	echo mine > copy.db
	fails 14 ledgerbox backup copy.db
	[ "$(cat copy.db)" = mine ]
	[[ $stderr == *--force* ]]
	works ledgerbox backup copy.db --force
	works ledgerbox verify --database copy.db
	works ledgerbox backup --force copy.db
}

@test "the ledger itself is no place for a backup" {
	fails 14 ledgerbox backup --force ledger.db
	fails 14 ledgerbox backup --force ./ledger.db
	works ledgerbox verify
}

@test "one file is named, in a folder that is there" {
	fails 2 ledgerbox backup
	fails 2 ledgerbox backup a.db b.db
	[ ! -e a.db ]
	run ledgerbox backup nowhere/copy.db
	[[ $status == 14 || $status == 23 ]]
}

@test "a damaged ledger is not backed up, and an older backup stays" {
	ledgerbox backup copy.db -q > heads
	sqlite3 ledger.db "drop trigger event_no_update; update event set payload = '{}' where position = 2"
	cp copy.db before.db
	fails 3 ledgerbox backup --force copy.db
	cmp copy.db before.db
	fails 3 ledgerbox backup new.db
	[ ! -e new.db ]
	[ "$(ls | grep -c 'copy.db.\|new.db')" -eq 0 ]
}

@test "without a key the copy is made, and it is said that MACs were not checked" {
	mv ledger.key away.key
	works ledgerbox backup copy.db
	[[ $stderr == *"without all MACs"* ]]
	[ -n "$output" ]
}

@test "others append meanwhile, and the copy is of one moment" {
	(for _ in $(seq 20); do a_few 5; done) &
	local writer=$! n=0
	while kill -0 $writer 2> /dev/null && [ $n -lt 50 ]; do
		n=$((n + 1))
		ledgerbox backup -q "copy-$n.db" > heads || { wait $writer; return 1; }
		ledgerbox verify -q --database "copy-$n.db" --expect-heads heads 2> /dev/null || { wait $writer; return 1; }
	done
	wait $writer
	works ledgerbox verify
	[[ $output == *"of 103,"* ]]
}

@test "a disk that is full leaves nothing" {
	[ "$(id -u)" = 0 ] && mkdir small && mount -t tmpfs -o size=64k none small || skip "cannot mount"
	run --separate-stderr ledgerbox backup small/copy.db
	local left
	left=$(ls small)
	umount small
	[ "$status" -eq 24 ]
	[ -z "$left" ]
}

@test "a ledger restored from a backup goes on in a new epoch" {
	ledgerbox backup copy.db -q > heads
	a_few 2
	ledgerbox status --heads > newer
	rm -f ledger.db ledger.db-wal ledger.db-shm
	cp copy.db ledger.db
	fails 14 ledgerbox append -d inventory -t t '{}'
	works ledgerbox recover --offline --reason 'disk failure'
	works ledgerbox append -d inventory -t t '{}'
	works ledgerbox verify --expect-heads heads
	fails 3 ledgerbox verify --expect-heads newer
	[[ $output == *HEAD_MISSING* ]]
}

@test "it says why there was no key: its mode, or that it is not there" {
	chmod 644 ledger.key
	works ledgerbox backup copy.db
	[[ $stderr == *"without all MACs: key file ledger.key can be read by others"* ]]
	works ledgerbox backup --force --key-file other.key copy.db
	[[ $stderr == *"without all MACs: there is no key file other.key"* ]]
}
