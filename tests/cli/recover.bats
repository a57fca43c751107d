load helper

prepare() {
	a_ledger
	a_few 3
	sqlite3 ledger.db 'pragma wal_checkpoint(truncate)' > /dev/null
	rm -f ledger.db-wal ledger.db-shm
}

# The file as it was, in place of what it is now: the same inode, an older state.
an_older_state() {
	cp ledger.db older.db
	a_few 2
	cat older.db > ledger.db
	rm -f ledger.db-wal ledger.db-shm
}

# Another file with the same content, as cp and restoring make it.
a_copy() {
	cp ledger.db copied
	mv copied ledger.db
}

@test "where nothing is wrong, nothing is done" {
	fails 1 ledgerbox recover --offline
	[[ $stderr == *--force* ]]
	fails 1 ledgerbox recover --offline --dry-run
	[ "$(ledgerbox tail -n all | wc -l)" -eq 3 ]
}

@test "where no cluster is configured --offline is named" {
	a_copy
	fails 2 ledgerbox recover
	[[ $stderr == *"ledgerbox recover --offline"* ]]
	fails 14 ledgerbox append -d inventory -t t '{}'
}

@test "a copied ledger reads, refuses to write, and names the way out" {
	a_copy
	works ledgerbox tail
	[ "${#lines[@]}" -eq 3 ]
	[[ $stderr == *copied* ]]
	fails 14 ledgerbox append -d inventory -t t '{}'
	[[ $stderr == *copied* ]]
	[[ $stderr == *"ledgerbox recover --offline"* ]]
	fails 14 ledgerbox append -d inventory -t t '{}' --format json
	[ "$(python3 -c 'import json, sys; r = json.loads(sys.argv[1]); print(r["code"], r["status"], r["retryable"])' "$stderr")" = "14 refused False" ]
}

@test "a copied ledger goes on in a new epoch, and no sequence is used twice" {
	local old
	old=$(sqlite3 ledger.db 'select epoch from seal')
	a_copy
	works ledgerbox recover --offline --reason 'moved to a new disk'
	[[ $output == *"found      "*copied* ]]
	[[ $output == *"old epoch  $old "* ]]
	[[ $output == *"position   4" ]]
	works ledgerbox append -d inventory -t t '{}'
	works ledgerbox verify
	[[ $output == *"verified events 1..5 of 5, 3 chains"* ]]
	[ "$(sqlite3 ledger.db 'select count(*) from (select 1 from events group by origin, epoch, domain, sequence having count(*) > 1)')" -eq 0 ]
	[ "$(sqlite3 ledger.db 'select count(distinct epoch), min(epoch) from chain')" = "2|$old" ]
	[ "$(sqlite3 ledger.db 'select sequence from events where position = 5')" -eq 1 ]
	fails 1 ledgerbox recover --offline
}

@test "the new epoch begins with why, and what was known" {
	local hash old
	hash=$(sqlite3 ledger.db 'select lower(hex(hash)) from event where position = 3')
	old=$(sqlite3 ledger.db 'select epoch from seal')
	a_copy
	ledgerbox recover --offline --reason 'say "why"' -q
	works ledgerbox show 4 --format json
	python3 - "$output" "$hash" "$old" <<-'END'
	import json, sys
	e = json.loads(sys.argv[1])
	assert (e["domain"], e["type"], e["sequence"]) == ("_ledger", "epoch_started", 1), e
	p = e["payload"]
	assert p["reason"] == 'say "why"' and "copied" in p["found"] and p["old_epoch"] == int(sys.argv[3]), p
	assert p["chains"] == [{"epoch": int(sys.argv[3]), "domain": "inventory", "sequence": 3, "hash": sys.argv[2]}], p
	assert e["epoch"] > int(sys.argv[3])
	END
}

@test "an older state put back is noticed, and what came after is not overwritten" {
	an_older_state
	fails 14 ledgerbox append -d inventory -t t '{}'
	[[ $stderr == *restored* ]]
	fails 3 ledgerbox verify
	works ledgerbox recover --offline
	[[ $output == *restored* ]]
	works ledgerbox append -d inventory -t t '{}'
	works ledgerbox verify
}

@test "recovering twice makes two epochs, each greater than the one before" {
	local n
	for n in 1 2 3; do
		a_copy
		sqlite3 ledger.db 'pragma wal_checkpoint(truncate)' > /dev/null
		works ledgerbox recover --offline
	done
	works ledgerbox verify
	[ "$(sqlite3 ledger.db "select count(distinct epoch) from chain")" -eq 4 ]
	[ "$(sqlite3 ledger.db "select group_concat(epoch) from (select epoch from events order by position)")" = \
		"$(sqlite3 ledger.db "select group_concat(epoch) from (select epoch from events order by epoch, position)")" ]
}

@test "--force begins an epoch though nothing is wrong" {
	works ledgerbox recover --offline --force --format json
	[ "$(python3 -c 'import json, sys; r = json.loads(sys.argv[1]); print(r["file"], r["node"], r["found"], r["position"], r["dry_run"], r["epoch"] > r["old_epoch"])' "$output")" = "ledger.db store-a  4 False True" ]
	works ledgerbox append -d inventory -t t '{}'
	works ledgerbox verify
}

@test "--dry-run records nothing" {
	a_copy
	local before
	before=$(sha256sum < ledger.db)
	works ledgerbox recover --offline --dry-run
	[[ $output == *"would be"* ]]
	fails 14 ledgerbox append -d inventory -t t '{}'
	[ "$(ledgerbox tail -n all 2> /dev/null | wc -l)" -eq 3 ]
	[ "$(sqlite3 ledger.db 'pragma wal_checkpoint(truncate)' > /dev/null; sha256sum < ledger.db)" = "$before" ]
}

@test "without the key, or with a seal made without it, no epoch begins" {
	a_copy
	mv ledger.key away.key
	run ledgerbox recover --offline
	[[ $status == 14 || $status == 15 || $status == 23 || $status == 2 ]]
	mv away.key ledger.key
	sqlite3 ledger.db 'update seal set position = 2'
	fails 3 ledgerbox recover --offline
	[ "$(sqlite3 ledger.db 'select count(*) from event')" -eq 3 ]
}

@test "a stdout that cannot be written does not read as nothing recorded" {
	a_copy
	fails 31 bash -c 'ledgerbox recover --offline > /dev/full'
	[[ $stderr == *"has begun"* ]]
	works ledgerbox append -d inventory -t t '{}'
	works ledgerbox verify
}

@test "a ledger moved within its file system is at home" {
	mkdir elsewhere
	mv ledger.db elsewhere/
	works ledgerbox append -d inventory -t t '{}' --database elsewhere/ledger.db
}

@test "operands and a reason that is no text are refused" {
	fails 2 ledgerbox recover --offline now
	a_copy
	fails 2 ledgerbox recover --offline --reason $'\xff'
}

@test "options that do not fit are refused" {
	fails 2 ledgerbox recover --offline --peers 1
	[[ $stderr == *"--offline asks nobody"* ]]
	fails 2 ledgerbox recover --offline --within 1s
	fails 2 ledgerbox recover --peers 0
	[[ $stderr == *"from 1 to 64"* ]]
}

@test "without a server nothing changes, and --offline is named" {
	export NATS_PRIMARY_URL=nats://127.0.0.1:9
	a_copy
	fails 21 ledgerbox recover --within 300ms
	[[ $stderr == *"no NATS server could be reached"* ]]
	[[ $stderr == *"ledgerbox recover --offline"* ]]
	fails 21 ledgerbox recover --dry-run --within 300ms
	fails 14 ledgerbox append -d inventory -t t '{}'
	works ledgerbox recover --offline
}
