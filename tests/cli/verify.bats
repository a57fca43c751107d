load helper

# Eight events: inventory 1 to 5 of two streams, orders 6 to 8. The file is kept whole beside, to be
# put back byte by byte: the same inode, so the same home.
prepare() {
	a_ledger
	ledgerbox append -q <<-'END' > /dev/null
	{"domain":"inventory","type":"stock_adjusted","stream":"product/sku-1","tags":["product:sku-1"],"payload":{"n":1}}
	{"domain":"inventory","type":"stock_adjusted","stream":"product/sku-1","tags":["product:sku-1","shelf:a"],"payload":{"n":2},"metadata":{"actor":"ann"}}
	{"domain":"inventory","type":"stock_adjusted","stream":"product/sku-2","payload":{"n":3}}
	{"domain":"inventory","type":"stock_adjusted","stream":"product/sku-1","payload":{"n":4}}
	{"domain":"inventory","type":"stock_adjusted","stream":"product/sku-2","payload":{"n":5}}
	{"domain":"orders","type":"order_placed","stream":"order/7","payload":{"n":6}}
	{"domain":"orders","type":"order_paid","stream":"order/7","payload":{"n":7}}
	{"domain":"orders","type":"note","payload":{"n":8}}
	END
	settle
	cp ledger.db whole.db
	cp -a "$XDG_STATE_HOME" state
}

# Everything is in the file, nothing in its -wal.
settle() {
	sqlite3 ledger.db 'pragma wal_checkpoint(truncate)' > /dev/null
	rm -f ledger.db-wal ledger.db-shm
}

put_back() {
	cat whole.db > ledger.db
	rm -f ledger.db-wal ledger.db-shm
	rm -rf "$XDG_STATE_HOME"
	cp -a state "$XDG_STATE_HOME"
}

sql() {
	sqlite3 -bail ledger.db "$1"
}

# What somebody does who takes the guards away, changes something, and puts the guards back.
unguarded() {
	local off on
	off=$(sql "select 'drop trigger ' || name || ';' from sqlite_schema where type = 'trigger'")
	on=$(sql "select sql || ';' from sqlite_schema where type = 'trigger' order by rowid")
	sql "$off $1; $on"
}

# Overwrites bytes of the file itself: poke TEXT_IN_IT REPLACEMENT
poke() {
	local at
	at=$(grep -abo -F -- "$1" ledger.db | head -n 1 | cut -d : -f 1)
	[ -n "$at" ] && printf %s "$2" | dd of=ledger.db bs=1 seek="$at" conv=notrunc status=none
}

# Makes hashes, links and the seal's link anew with the independent rules of design section 2, as somebody
# does who can write the file and has no key (or the key given: then MACs of events too).
forge() {
	python3 - "$@" <<-'END'
	import hashlib, hmac, sqlite3, sys
	key = bytes.fromhex(open(sys.argv[1]).read().strip()) if len(sys.argv) > 1 else None
	db = sqlite3.connect("ledger.db", isolation_level=None)
	def be(n): return n.to_bytes(8, "big")
	def pae(*parts): return be(len(parts)) + b"".join(be(len(p)) + p for p in parts)
	def sha(b): return hashlib.sha256(b).digest()
	def num(n): return be(n)
	guards = [r[0] for r in db.execute("select sql from sqlite_schema where type = 'trigger' order by rowid")]
	for (name,) in db.execute("select name from sqlite_schema where type = 'trigger'").fetchall():
	    db.execute("drop trigger " + name)
	heads, links, link = {}, [], None
	rows = db.execute("""select e.position, c.id, c.origin, c.epoch, d.name, e.sequence, e.id, e.clock, e.time, e.stream,
	    e.version, e.type, e.schema, e.tags, k.name, e.salt, e.metadata, e.payload, e.prev from event e join chain c on c.id = e.chain
	    join domain d on d.id = e.domain join signing_key k on k.id = e.signing_key order by position""").fetchall()
	for (pos, chain, origin, epoch, domain, seq, id, clock, time, stream, version, type, schema, tags, keyid, salt, meta,
	        payload, prev) in rows:
	    if key:
	        keyid = "hs256-" + hmac.new(key, b"ledgerbox/keyid/v1", hashlib.sha256).digest()[:8].hex()
	        db.execute("update signing_key set name = ?", (keyid,))
	    prev = heads.get(chain, prev)
	    body = sha(pae(b"ledgerbox/body/v1", salt, payload.encode(), (meta or "").encode()))
	    stype, skey = stream.split("/", 1) if stream else ("", "")
	    hash = sha(pae(b"ledgerbox/event/v1", keyid.encode(), origin.encode(), num(epoch), domain.encode(), num(seq), prev, id,
	        num(clock), num(time), stype.encode(), skey.encode(), num(version), type.encode(), num(schema),
	        pae(*[t.encode() for t in (tags or "").split()]), body))
	    heads[chain] = hash
	    db.execute("update event set prev = ?, hash = ? where position = ?", (prev, hash, pos))
	    if key:
	        mac = hmac.new(key, b"ledgerbox/mac/v1\0" + hash, hashlib.sha256).digest()
	        db.execute("update event set mac = ? where position = ?", (mac, pos))
	    links.append(hash)
	link = bytes(32)
	for h in links: link = sha(link + h)
	db.execute("update seal set link = ?, position = ?, clock = ?", (link, rows[-1][0], max(r[7] for r in rows)))
	if key:
	    db.execute("update seal set signing_key = ?", (keyid,))
	for g in guards: db.execute(g)
	END
}

# The same, with the rows changed before by $1.
rewrite() {
	unguarded "$1"
	shift
	forge "$@"
}

# finds CODE PROBLEM [option…]: verify ends with CODE and lists PROBLEM ("-": none)
finds() {
	local code=$1 problem=$2
	shift 2
	run --separate-stderr ledgerbox verify "$@"
	[ "$status" -eq "$code" ] || { echo "exit code $status instead of $code"; printf '%s\n' "$output" "$stderr"; return 1; }
	[ "$problem" = - ] || grep -q "^$problem[ :]" <<< "$output" || { echo "no $problem:"; printf '%s\n' "$output"; return 1; }
}

# Rows: name, how it is done, exit code, problem code. Each from the whole file. All of a group are
# tried before the test fails, so that one run shows every row that is wrong.
tamper() {
	local name how code problem bad=0
	while IFS='|' read -r name how code problem; do
		name=$(echo $name) how=${how## }
		[ -n "$name" ] || continue
		put_back
		eval "$how" > done.txt 2>&1 || { echo "$name: could not be done: $(cat done.txt)"; bad=1; continue; }
		finds $code $problem > found.txt 2>&1 || { echo "$name: $(cat found.txt)"; bad=1; }
	done
	return $bad
}

# Runs a command for which the modes of files hold, as they do not for root.
as_a_reader() {
	if [ "$(id -u)" -eq 0 ]; then
		setpriv --bounding-set=-all --inh-caps=-all "$@"
	else
		"$@"
	fi
}

@test "the whole ledger verifies, and the last line says what that means" {
	works ledgerbox verify
	[ "${#lines[@]}" -eq 1 ]
	[[ $output == "ledger.db: verified events 1..8 of 8, 2 chains, payload, links, MACs, seal; link "* ]]
	[[ $output == *"; not covered: the SQLite file and the table of terms (--deep)" ]]
	works ledgerbox verify -q
	[ -z "$output$stderr" ]
	works ledgerbox verify --deep --workers 3
	[[ $output != *"not covered"* ]]
}

@test "an empty ledger verifies" {
	mkdir empty && cd empty
	ledgerbox init --node store-b -q
	works ledgerbox verify
	[[ $output == "ledger.db: verified no events, the ledger is empty"* ]]
}

@test "a changed field of an event is found" {
	tamper <<-'END'
	a byte of the payload | unguarded "update event set payload = '{\"n\":7}' where position = 2" | 3 | HASH_MISMATCH
	a byte in the file    | poke '{"n":2}' '{"n":9}' | 3 | HASH_MISMATCH
	metadata              | unguarded "update event set metadata = '{\"actor\":\"eve\"}' where position = 2" | 3 | HASH_MISMATCH
	metadata taken away   | unguarded "update event set metadata = null where position = 2" | 3 | HASH_MISMATCH
	type                  | unguarded "update event set type = 'stock_adjusteD' where position = 2" | 3 | HASH_MISMATCH
	schema                | unguarded "update event set schema = 2 where position = 2" | 3 | HASH_MISMATCH
	time                  | unguarded "update event set time = time + 1 where position = 2" | 3 | HASH_MISMATCH
	clock                 | unguarded "update event set clock = clock + 1 where position = 5" | 3 | HASH_MISMATCH
	id                    | unguarded "update event set id = randomblob(16) where position = 2" | 3 | HASH_MISMATCH
	stream                | unguarded "update event set stream = 'product/sku-9' where position = 2" | 3 | HASH_MISMATCH
	byte from type to key | unguarded "update event set stream = 'produc/tsku-1' where position = 2" | 3 | HASH_MISMATCH
	version               | unguarded "update event set version = 7 where position = 5" | 3 | HASH_MISMATCH
	tags                  | unguarded "update event set tags = 'product:sku-1' where position = 2" | 3 | HASH_MISMATCH
	salt                  | unguarded "update event set salt = randomblob(16) where position = 2" | 3 | HASH_MISMATCH
	hash                  | unguarded "update event set hash = randomblob(32) where position = 2" | 3 | HASH_MISMATCH
	prev                  | unguarded "update event set prev = randomblob(32) where position = 2" | 3 | LINK_BROKEN
	mac                   | unguarded "update event set mac = randomblob(32) where position = 2" | 3 | MAC_BAD
	the last event        | unguarded "update event set payload = '{}' where position = 8" | 3 | HASH_MISMATCH
	the first event       | unguarded "update event set payload = '{}' where position = 1" | 3 | HASH_MISMATCH
	END
}

@test "an event moved, removed or added is found" {
	tamper <<-'END'
	two rows swapped    | unguarded "update event set position = -2 where position = 2; update event set position = 2 where position = 3; update event set position = 3 where position = -2" | 3 | SEAL_MISMATCH
	two places swapped  | unguarded "update event set sequence = -2 where position = 2; update event set sequence = 2 where position = 3; update event set sequence = 3 where position = -2 or sequence = -2" | 3 | HASH_MISMATCH
	a middle one gone   | unguarded "delete from event where position = 3" | 3 | SEQUENCE_GAP
	its position gone   | unguarded "delete from event where position = 3" | 3 | POSITION_GAP
	the first gone      | unguarded "delete from event where position = 1" | 3 | POSITION_GAP
	the last gone       | unguarded "delete from event where position = 8" | 3 | SEAL_MISMATCH
	a whole chain gone  | unguarded "delete from event where position >= 6" | 3 | SEAL_MISMATCH
	all gone            | unguarded "delete from event" | 3 | SEAL_MISMATCH
	gone, seal adjusted | unguarded "delete from event where position = 8; update seal set position = 7" | 3 | SEAL_MAC_BAD
	gap closed          | unguarded "delete from event where position = 3; update event set position = position - 1 where position > 3" | 3 | SEQUENCE_GAP
	one place twice     | unguarded "insert into event select 9, chain, sequence + 100, domain, id, stream, version, type, schema, clock, time, tags, signing_key, salt, prev, hash, mac, body, metadata, payload from event where position = 8" | 3 | SEAL_MISMATCH
	another's event     | unguarded "insert into event select 9, chain, sequence + 1, domain, randomblob(16), null, 0, type, schema, clock + 1, time, null, signing_key, salt, hash, randomblob(32), randomblob(32), null, null, '{}' from event where position = 8" | 3 | SEAL_MISMATCH
	END
}

@test "a row that is no event is found" {
	tamper <<-'END'
	chain unknown     | unguarded "update event set chain = 99 where position = 8" | 3 | CHAIN_UNKNOWN
	domain not its    | unguarded "update event set domain = (select domain from event where position = 8) where position = 5" | 3 | DOMAIN_MISMATCH
	short hash        | unguarded "update event set hash = x'00' where position = 2" | 3 | ROW_MALFORMED
	short id          | unguarded "update event set id = x'00' where position = 2" | 3 | ROW_MALFORMED
	type with newline | unguarded "update event set type = printf('a%sb', char(10)) where position = 2" | 3 | HASH_MISMATCH
	clock below zero  | unguarded "update event set clock = -1 where position = 1" | 3 | ROW_MALFORMED
	time too large    | unguarded "update event set time = 9007199254740992 where position = 1" | 3 | ROW_MALFORMED
	clock goes back   | unguarded "update event set clock = (select clock from event where position = 1) where position = 3" | 3 | CLOCK_BACKWARDS
	version goes back | unguarded "update event set version = 1 where position = 4" | 3 | VERSION_BACKWARDS
	END
}

@test "a changed chain, key, seal or schema is found" {
	tamper <<-'END'
	chain renamed      | unguarded "update chain set origin = 'evil'" | 3 | HASH_MISMATCH
	chain's epoch      | unguarded "update chain set epoch = epoch + 1" | 3 | HASH_MISMATCH
	domain renamed     | unguarded "update domain set name = 'stock' where name = 'inventory'" | 3 | HASH_MISMATCH
	node changed       | sql "update seal set node = 'evil'"; mv ledger.yaml away | 3 | SEAL_MAC_BAD
	node, with config  | sql "update seal set node = 'evil'"; mv away ledger.yaml | 14 | -
	seal's position    | sql "update seal set position = 7" | 3 | SEAL_MISMATCH
	seal's clock       | sql "update seal set clock = clock + 1" | 3 | SEAL_MISMATCH
	seal's link        | sql "update seal set link = randomblob(32)" | 3 | SEAL_MISMATCH
	seal's MAC         | sql "update seal set mac = randomblob(32)" | 3 | SEAL_MAC_BAD
	another home       | sql "update seal set inode = inode + 1" | 3 | SEAL_MAC_BAD
	guard gone         | sql "drop trigger event_no_update" | 3 | SCHEMA_CHANGED
	guard made hollow  | sql "drop trigger event_no_delete; create trigger event_no_delete before delete on event begin select 1; end" | 3 | SCHEMA_CHANGED
	trigger added      | sql "create trigger evil after insert on event begin delete from cursor; end" | 3 | SCHEMA_CHANGED
	view in front      | sql "drop view events; create view events as select 1 as position" | 3 | SCHEMA_CHANGED
	index gone         | sql "drop index event_id" | 3 | SCHEMA_CHANGED
	END
}

@test "a mark that does not fit is found" {
	seq 1100 | sed 's/.*/{"domain":"many","type":"t","payload":&}/' | ledgerbox append -q > /dev/null
	works ledgerbox verify
	unguarded "update mark set link = randomblob(32) where position = 1024"
	finds 3 MARK_MISMATCH
}

@test "what is made anew without the key has MACs that do not fit" {
	tamper <<-'END'
	one payload, hashes anew      | rewrite "update event set payload = '{}' where position = 2" | 3 | MAC_BAD
	an event gone, seal anew      | rewrite "delete from event where position = 8" | 3 | SEAL_MAC_BAD
	signed with another key       | rm -r "$XDG_STATE_HOME"; ledgerbox init --node x --database x.db --config x.yaml --key-file x.key -q; rewrite "update event set payload = '{}' where position = 2" x.key; rm x.db* x.key x.yaml | 15 | KEY_UNKNOWN
	END
	put_back
	rewrite "update event set payload = '{}' where position = 2"
	# Nobody can tell without a key, and it is said.
	finds 0 - --hash-only
	[[ $output == *"MACs (--hash-only)"* ]]
}

@test "the forger of this test makes the very hashes that append made" {
	local before
	before=$(sql 'select hex(hash), hex(prev) from event; select hex(link) from seal')
	forge
	[ "$(sql 'select hex(hash), hex(prev) from event; select hex(link) from seal')" = "$before" ]
	works ledgerbox verify
}

@test "an older state put back is found by the head file, and without it by heads" {
	ledgerbox status --heads > heads.old
	a_few 2
	settle
	ledgerbox status --heads > heads.new
	cat whole.db > ledger.db
	finds 3 ROLLED_BACK
	rm -rf "$XDG_STATE_HOME"
	finds 0 - --expect-heads heads.old
	finds 3 HEAD_MISSING --expect-heads heads.new
}

@test "a -wal taken away is an older state" {
	# A reader that stays keeps the last process from emptying the -wal.
	sqlite3 ledger.db > /dev/null <<-'END' &
	select count(*) from event;
	.shell touch open; while [ ! -e close ]; do sleep 0.02; done
	END
	local reader=$!
	until_true [ -e open ]
	a_few 2
	cp ledger.db without.db
	touch close
	wait $reader
	cat without.db > ledger.db
	rm -f ledger.db-wal ledger.db-shm
	finds 3 ROLLED_BACK
}

@test "another ledger of the same node and key in its place is found" {
	mkdir other
	ledgerbox init --node store-a --database other/ledger.db --config other/ledger.yaml --key-file ledger.key -q
	ledgerbox status --heads > heads
	cat other/ledger.db > ledger.db
	rm -f ledger.db-wal ledger.db-shm
	finds 3 HEAD_MISSING --expect-heads heads
	run --separate-stderr ledgerbox verify
	[[ $stderr == *copied* ]]
}

@test "events of another ledger spliced in are found" {
	mkdir other
	ledgerbox init --node store-b --database other/ledger.db --config other/ledger.yaml --key-file ledger.key -q
	ledgerbox append -q --config other/ledger.yaml -d inventory -t t '{}' > /dev/null
	unguarded "attach 'other/ledger.db' as o;
		insert into chain select 99, origin, epoch, (select id from domain where name = 'inventory') from o.chain limit 1;
		insert into event select 9, 99, sequence, (select domain from chain where id = 99), id, stream, version, type, schema,
			clock, time, tags, 1, salt, prev, hash, mac, body, metadata, payload from o.event"
	finds 3 SEAL_MISMATCH
}

@test "what is no ledger is no damage" {
	: > empty.db
	echo "some text, longer than the header of a database, so that it is looked at as one and not as empty" > text.db
	sqlite3 other.db 'create table t (a); insert into t values (1)'
	local f
	for f in empty.db text.db other.db; do
		fails 13 ledgerbox verify --database "$f"
	done
	head -c 5000 whole.db > short.db
	run ledgerbox verify --database short.db
	[[ $status == 3 || $status == 13 || $status == 23 ]]
}

@test "a bit flipped anywhere: never fine with other content, never a crash" {
	local want size at byte
	want=$(ledgerbox tail -n all --format json)
	size=$(stat -c %s whole.db)
	for ((at = 13; at < size; at += 1511)); do
		put_back
		byte=$(od -An -tu1 -j $at -N 1 whole.db)
		printf "\\x$(printf %02x $((byte ^ (1 << (at % 8)))))" | dd of=ledger.db bs=1 seek=$at conv=notrunc status=none
		run --separate-stderr timeout 60 ledgerbox verify --deep
		case $status in
		0) [ "$(ledgerbox tail -n all --format json)" = "$want" ] || { echo "verified, but other, at byte $at"; return 1; } ;;
		3 | 13 | 14 | 15 | 23) ;;
		*) echo "exit code $status at byte $at: $stderr"; return 1 ;;
		esac
	done
}

@test "--deep finds a table of terms that lies" {
	unguarded "delete from term where position = 1"
	finds 0 -
	finds 3 TERM_INDEX --deep
	put_back
	unguarded "insert into term values (0, 'shelf:z', 1)"
	finds 3 TERM_INDEX --deep
}

@test "a table of streams that lies is found" {
	unguarded "update stream set version = version + 1"
	finds 3 STREAM_INDEX
	put_back
	unguarded "delete from stream"
	finds 3 STREAM_INDEX
}

@test "all problems are listed, up to a number, and counted" {
	unguarded "update event set payload = '{}'"
	finds 3 HASH_MISMATCH --max-problems 3
	[ "$(grep -c ^HASH_MISMATCH <<< "$output")" -eq 3 ]
	[[ $output == *"5 more not listed (--max-problems)"* ]]
	[[ ${lines[-1]} == "ledger.db: DAMAGED: 8 problems, first bad position 1, last good 0; read events 1..8 of 8, 2 chains"* ]]
	finds 3 HASH_MISMATCH --format json --max-problems 2 || true
	[ "$(jq_py 'len(r["problems"]), r["problem_count"], r["first_bad"], r["status"], r["complete"]')" = "(2, 8, 1, 'damaged', True)" ]
}

# An expression of Python over the report in $output.
jq_py() {
	python3 -c 'import json, sys; r = json.loads(sys.argv[2]); print(eval(sys.argv[1]))' "$1" "$output"
}

@test "where the schema keeps it from being opened, that is listed, and nothing is read" {
	sqlite3 ledger.db "pragma writable_schema = on; update sqlite_schema set sql = replace(sql, 'payload TEXT', 'payload TEXT AS (hex(zeroblob(500000000)))') where name = 'event'"
	finds 3 SCHEMA_CHANGED
	[[ $output == *"SCHEMA_CHANGED: table event was changed"* ]]
	[[ ${lines[-1]} == "ledger.db: DAMAGED, and not read to the end: 2 problems; asked for no events; not covered: "* ]]
	[[ $stderr == *"nothing is read from it"*"hint: put a backup in its place"* ]]
	fails 3 ledgerbox verify --format json -o report
	finds 3 SCHEMA_CHANGED --hash-only --max-problems 2
	fails 2 ledgerbox verify --from 9 --to 3
	fails 3 ledgerbox status
	output=$(< report)
	[ "$(jq_py 'r["status"], r["complete"], [p["code"] for p in r["problems"]], r["problem_count"]')" = "('damaged', False, ['FILE_CORRUPT', 'SCHEMA_CHANGED'], 2)" ]
	put_back
	unguarded "delete from seal"
	finds 3 FILE_CORRUPT
	[[ $output == *"FILE_CORRUPT: the seal of ledger.db is missing or malformed"* ]]
}

@test "a problem names its place, on one line whatever the row holds" {
	unguarded "update event set payload = '{}' where position = 2"
	finds 3 HASH_MISMATCH
	[[ ${lines[0]} =~ ^"HASH_MISMATCH at position 2 (store-a/"[0-9]+"/inventory/2): ". ]]
	put_back
	unguarded "update chain set origin = 'x' || char(10) || 'ledger.db: verified' || char(27) || '[2J'"
	run --separate-stderr ledgerbox verify
	[ "$status" -eq 3 ]
	! grep -q '^ledger.db: verified' <<< "$output"
	! grep -q $'\e' <<< "$output"
}

@test "a part says that it is one" {
	works ledgerbox verify --from 3 --to 6
	[[ $output == "ledger.db: verified events 3..6 of 8, 2 chains, payload, links, MACs; not covered: events 1..2 (--from), events 7..8 (--to), the seal, the SQLite"* ]]
	works ledgerbox verify -d orders
	[[ $output == *"chains of other domains (--domain)"* ]]
	[[ $output == *"(3 of them, origin any, domain orders)"* ]]
	unguarded "update event set payload = '{}' where position = 2"
	finds 0 - -d orders
	finds 0 - --from 3
	finds 3 HASH_MISMATCH --to 2
	finds 3 HASH_MISMATCH --origin store-a
}

@test "a link over the seam of a part is checked" {
	unguarded "update event set hash = randomblob(32) where position = 2"
	finds 3 LINK_BROKEN --from 3 --to 5
}

@test "nothing of that name is not verified" {
	fails 1 ledgerbox verify -d inventroy
	[[ $stderr == *"no event was verified"* ]]
	fails 1 ledgerbox verify --from 100
	works ledgerbox verify -d inventory
}

@test "--since-last reads what is new, and says what it did not look at" {
	works ledgerbox verify
	works ledgerbox verify --since-last
	[[ $output == *"events 1..8 (as an earlier run left them)"* ]]
	a_few 2
	works ledgerbox verify --since-last
	[[ $output == "ledger.db: verified events 9..10 of 10"* ]]
	a_few 1
	unguarded "update event set payload = '{}' where position = 11"
	finds 3 HASH_MISMATCH --since-last
	finds 3 HASH_MISMATCH --since-last
}

@test "heads are expected in both forms, and old ones stay good" {
	ledgerbox status --heads > heads
	ledgerbox status --heads --format json > heads.json
	a_few 3
	works ledgerbox verify --expect-heads heads
	[[ $output == *"2 expected heads"* ]]
	works ledgerbox verify --expect-heads heads.json
	{ echo "# kept elsewhere"; echo; sed 's/ /  /g; s/$/\r/' heads; } > spaced
	works ledgerbox verify --expect-heads spaced
	run --separate-stderr bash -c 'ledgerbox verify --expect-heads - < heads'
	[ "$status" -eq 0 ]
	sed 's/[0-9a-f]\{8\}$/00000000/' heads > changed
	finds 3 HEAD_MISMATCH --expect-heads changed
	sed 's/inventory/nowhere/' heads > unknown
	finds 3 HEAD_MISSING --expect-heads unknown
}

@test "a bad line of heads is named" {
	ledgerbox status --heads > good
	local line
	while read -r line; do
		{ cat good; echo "$line"; } > heads
		fails 2 ledgerbox verify --expect-heads heads
		[[ $stderr == *heads:3:* ]] || { echo "$line: $stderr"; return 1; }
	done <<-'END'
	store-a
	store-a 1 inventory 1 abc
	store-a x inventory 1 0000000000000000000000000000000000000000000000000000000000000000
	store-a 1 inventory 0 0000000000000000000000000000000000000000000000000000000000000000
	store-a -1 inventory 1 0000000000000000000000000000000000000000000000000000000000000000
	store.a 1 inventory 1 0000000000000000000000000000000000000000000000000000000000000000
	store-a 1 inventory 1 0000000000000000000000000000000000000000000000000000000000000000 more
	{"origin":"store-a"}
	{"origin":"store-a","epoch":1
	{"origin":"store-a","epoch":"1","domain":"d","sequence":1,"hash":"0000000000000000000000000000000000000000000000000000000000000000"}
	{}
	END
	: > heads
	fails 2 ledgerbox verify --expect-heads heads
	fails 2 ledgerbox verify --expect-heads not-there
	printf 'store-a 1 inv\0entory 1 00\n' > heads
	fails 2 ledgerbox verify --expect-heads heads
	head -c 20000000 /dev/zero > heads
	fails 2 ledgerbox verify --expect-heads heads
}

@test "without a key: could not verify, with the way out" {
	mv ledger.key away.key
	fails 2 ledgerbox verify
	[[ $stderr == *"there is no key file ledger.key"*--hash-only* ]]
	[[ $output != *": verified"* ]]
	works ledgerbox verify --hash-only
	[[ $output == *"seal without its MAC"*"MACs (--hash-only)"* ]]
	ledgerbox init --node store-b --database b.db --config b.yaml --key-file b.key -q
	fails 15 ledgerbox verify --key-file b.key
	[[ $output == *"COULD NOT VERIFY"* ]]
}

@test "damage and an unknown key: damage is said" {
	unguarded "update event set payload = '{}' where position = 2"
	ledgerbox init --node store-b --database b.db --config b.yaml --key-file b.key -q
	fails 3 ledgerbox verify --key-file b.key
}

@test "the report is JSON whatever the outcome" {
	works ledgerbox verify --format json
	[ "$(jq_py '[r[k] for k in ("file","node","status","complete","from","to","last","events","macs","chains","problems","problem_count","unverified","first_bad","last_good","seal","seal_mac")]')" = \
		"['ledger.db', 'store-a', 'ok', True, 1, 8, 8, 8, 8, 2, [], 0, 0, 0, 0, True, True]" ]
	[ "$(jq_py 'len(r["link"]), [h["domain"] + str(h["sequence"]) for h in r["heads"]], r["elapsed_us"] > 0')" = "(64, ['inventory5', 'orders3'], True)" ]
	works ledgerbox verify --format json -d orders
	[ "$(jq_py '[h["domain"] for h in r["heads"]], "link" in r')" = "(['orders'], False)" ]
	mv ledger.key away.key
	run --separate-stderr ledgerbox verify --format json
	[ "$status" -ne 0 ]
	[ "$(jq_py 'r["status"] != "ok", r["macs"]')" = "(True, 0)" ]
	mv away.key ledger.key
	fails 1 ledgerbox verify --format json -d nowhere
	[ "$(jq_py 'r["status"], r["events"]')" = "('no', 0)" ]
}

@test "-o writes the report, whatever the outcome" {
	works ledgerbox verify -o report.txt
	[ -z "$output" ]
	grep -q ': verified' report.txt
	unguarded "update event set payload = '{}' where position = 2"
	fails 3 ledgerbox verify -o report.txt -q
	grep -q DAMAGED report.txt
	fails 1 ledgerbox verify -o report.txt -d nowhere
	grep -q 'no event was verified' report.txt
}

@test "the verdict stands when nobody reads, or nothing can be written" {
	unguarded "update event set payload = '{}' where position = 2"
	fails 3 bash -c 'ledgerbox verify > /dev/full'
	fails 3 bash -c 'set -o pipefail; ledgerbox verify | true'
	put_back
	fails 24 bash -c 'ledgerbox verify > /dev/full'
}

@test "options that do not fit are refused" {
	fails 2 ledgerbox verify --from 0
	fails 2 ledgerbox verify --from 3 --to 2
	fails 2 ledgerbox verify --since-last --from 2
	fails 2 ledgerbox verify --workers 0
	fails 2 ledgerbox verify --workers 9
	fails 2 ledgerbox verify --max-problems 0
	fails 2 ledgerbox verify -d 'a b'
	fails 2 ledgerbox verify --origin ''
	fails 2 ledgerbox verify something
	fails 2 ledgerbox verify --within 1s
	[[ $stderr == *"--within goes with --peers"* ]]
	fails 2 ledgerbox verify --peers
	[[ $stderr == *"no cluster is configured"* ]]
}

@test "a copy that may only be read can be verified" {
	mkdir ro
	cp whole.db ro/ledger.db
	cp ledger.key ro/
	chmod 444 ro/ledger.db
	chmod 555 ro
	works as_a_reader ledgerbox verify --database ro/ledger.db --key-file ro/ledger.key --state-dir "$WORK/none"
	[[ $output == *"verified events 1..8 of 8"* ]]
	[ "$(echo $(ls ro))" = "ledger.db ledger.key" ]
}

@test "others append meanwhile, and the run is of one moment" {
	(for _ in $(seq 20); do a_few 5; done) &
	local writer=$! n=0
	while kill -0 $writer 2> /dev/null && [ $n -lt 200 ]; do
		run --separate-stderr ledgerbox verify --workers 4
		[ "$status" -eq 0 ] || { echo "$output$stderr"; wait $writer; return 1; }
		n=$((n + 1))
	done
	wait $writer
	works ledgerbox verify
	[[ $output == *"events 1..108 of 108"* ]]
}

@test "--peers without a server: verified, and 21" {
	export NATS_PRIMARY_URL=nats://127.0.0.1:9
	fails 21 ledgerbox verify --peers --within 300ms
	[[ $output == *"verified events 1..8 of 8"*"not compared with peers: no NATS server"* ]]
	fails 21 ledgerbox verify --peers --within 300ms --format json
	[ "$(python3 -c 'import json, sys; r = json.loads(sys.argv[1]); print(r["status"], r["complete"], r["peers"]["asked"])' "$output")" = 'unreachable True []' ]
}

@test "--peers without a key says nothing is verified" {
	mv ledger.key away.key
	fails 2 env NATS_PRIMARY_URL=nats://127.0.0.1:9 "$LEDGERBOX_BIN" verify --peers --within 300ms
	[[ $stderr == *"there is no key file ledger.key"* ]]
	[[ $output == *"COULD NOT FINISH"* ]]
	[[ $output != *": verified"* ]]
}
