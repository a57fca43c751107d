# Everything that is no good: files, rows, streams, names, disks, moments. Whatever it is, a command
# ends with a code of its own (never a crash, never a hang), and verify never says yes to what is not so.
load helper

prepare() {
	a_ledger
	seq 30 | sed 's|.*|{"domain":"d1","type":"t","stream":"product/sku-&","tags":["k:v"],"payload":{"n":&},"metadata":{"correlation_id":"c"}}|' |
		ledgerbox append -q
	sqlite3 ledger.db 'pragma wal_checkpoint(truncate)' > /dev/null
	rm -f ledger.db-wal ledger.db-shm
	cp ledger.db whole.db
	cp -a "$XDG_STATE_HOME" state
}

# The bytes of a file take the ledger's place in the same inode, so at the same home.
put() {
	cat "$1" > ledger.db
	rm -f ledger.db-wal ledger.db-shm
	rm -rf "$XDG_STATE_HOME"
	cp -a state "$XDG_STATE_HOME"
}

# What somebody does who takes the guards away, changes something, and puts the guards back.
unguarded() {
	local off on
	off=$(sqlite3 ledger.db "select 'drop trigger ' || name || ';' from sqlite_schema where type = 'trigger'")
	on=$(sqlite3 ledger.db "select sql || ';' from sqlite_schema where type = 'trigger' order by rowid")
	sqlite3 -bail ledger.db "$off $1; $on"
}

readers() {
	cat <<-'END'
	verify
	verify --deep
	verify -d d1 --hash-only --workers 2
	tail -n all --format json
	tail -n 3 -s product/ -t t
	tail -r --tag k:v
	tail --correlation c --origin store-a
	tail --since 2020-01-01 --limit 2
	show 5 --proof
	status
	status --format json
	status --check
	cursor list
	backup --force copy.db
	END
}

writers() {
	cat <<-'END'
	append -d d1 -t t -s product/sku-1 --once key --tag k:v 1
	cursor set c 3
	recover --offline --force
	END
}

# ends_well COMMAND: within a minute, with a code of ours, nothing that a terminal obeys on stderr.
# The code is left in $code.
ends_well() {
	code=0
	# shellcheck disable=SC2086 # words of a command
	timeout 60 ledgerbox $1 > out 2> err < /dev/null || code=$?
	case $code in
	0 | 1 | 2 | 3 | 10 | 12 | 13 | 14 | 15 | 23 | 24 | 31) ;;
	*)
		echo "$2: $1 ended with $code: $(head -c 2000 err)"
		return 1
		;;
	esac
	if LC_ALL=C grep -qP '[\x00-\x08\x0B-\x1F\x7F]' err; then
		echo "$2: $1 sent control characters: $(cat -v err)"
		return 1
	fi
}

# All commands on the ledger as it lies in the file $1. Each from the start.
all_end_well() {
	local command bad=0
	while read -r command; do
		put "$1"
		ends_well "$command" "$2" || bad=1
	done < <(readers; writers)
	return $bad
}

# As nobody, with the modes of files in force.
as_another() {
	setpriv --reuid=65534 --regid=65534 --clear-groups -- "$@"
}

# --- Files that are no ledger, or not all of one -------------------------------------------------

@test "what is no ledger is refused by every command, and left as it was" {
	local name bad=0 command want
	printf 'not a database, but longer than its header is: %0100d' 0 > text
	echo hi > short
	: > empty
	sqlite3 other 'create table event(position); insert into event values(1)'
	cp whole.db newer && sqlite3 newer 'pragma user_version = 2'
	cp whole.db negative && sqlite3 negative 'pragma user_version = -1'
	for name in text short empty other newer negative; do
		want=$(sha256sum < $name)
		while read -r command; do
			put $name
			ends_well "$command" $name || bad=1
			[ $code -eq 13 ] || [[ $command = "status --check" && $code -eq 3 ]] || { echo "$name: $command: $code"; bad=1; }
			[ "$want" = "$(sha256sum < ledger.db)" ] || { echo "$name: $command wrote"; bad=1; }
		done < <(readers; writers)
	done
	[ $bad -eq 0 ]
	put newer
	fails 13 ledgerbox tail
	[ "$stderr" = "ledgerbox tail: ledger.db has ledger format 2, this program knows up to 1
hint: use a newer ledgerbox for it" ]
}

@test "a folder, a pipe and a device in the ledger's place do not stop it" {
	rm ledger.db
	for how in 'mkdir ledger.db' 'mkfifo ledger.db' 'ln -s /dev/zero ledger.db'; do
		$how
		while read -r command; do
			ends_well "$command" "$how"
			[ $code -eq 13 ] || [ "$command" = "status --check" ] || { echo "$how: $command: $code" && return 1; }
		done < <(readers; writers)
		rm -rf ledger.db
	done
}

@test "a file cut off at any page is damage, and nothing crashes on it" {
	local size at command
	size=$(stat -c %s whole.db)
	for ((at = 4096; at < size; at += 4096)); do
		head -c "$at" whole.db > cut
		put cut
		ends_well verify "cut at $at"
		[ $code -eq 3 ] || { echo "cut at $at: verify said $code" && return 1; }
		put cut
		ends_well "append -d d1 -t t 1" "cut at $at"
		[ $code -ne 0 ] || { echo "cut at $at: append wrote" && return 1; }
	done
	head -c $((size / 2 + 100)) whole.db > cut
	all_end_well cut 'half of it'
}

@test "a -wal that is gone, empty, torn or of garbage: what was answered is missed" {
	seq 20 | sed 's/.*/{"domain":"d1","type":"t","payload":&}/' | ledgerbox append --batch 1 -q
	cp ledger.db-wal wal
	cp -a "$XDG_STATE_HOME" later
	local size how
	size=$(stat -c %s wal)
	for how in 'rm -f' ': >' 'head -c 1000 wal >' "head -c $((size / 2)) wal >" "head -c $((size - 1)) wal >" "head -c $size /dev/urandom >"; do
		rm -rf state && cp -a later state
		put whole.db
		eval "$how ledger.db-wal"
		fails 3 ledgerbox verify
		[[ $output == *ROLLED_BACK* ]]
		fails 14 ledgerbox append -d d1 -t t 1
		[[ $stderr == *"ledgerbox recover (without other nodes: ledgerbox recover --offline)"* ]]
		works ledgerbox recover --offline
		works ledgerbox append -d d1 -t t 1
		works ledgerbox verify -q
	done
	put whole.db
	cp wal ledger.db-wal
	head -c 32768 /dev/urandom > ledger.db-shm # shared memory is made anew
	works ledgerbox verify
	[[ $output == *"events 1..50 of 50"* ]]
}

@test "bits flipped: never fine with other content, and no command crashes" {
	local seed=${HOSTILE_SEED:-$RANDOM} want size at byte i command
	echo "seed $seed (HOSTILE_SEED=$seed repeats it)"
	RANDOM=$seed
	want=$(ledgerbox tail -n all --format json | sha256sum)
	size=$(stat -c %s whole.db)
	for i in $(seq 12); do
		at=$(((RANDOM * 32768 + RANDOM) % size))
		byte=$(od -An -tu1 -j $at -N 1 whole.db)
		cp whole.db bad
		# shellcheck disable=SC2059 # the byte is the format
		printf "\\x$(printf %02x $((byte ^ (1 << (i % 8)))))" | dd of=bad bs=1 seek=$at conv=notrunc status=none
		while read -r command; do
			put bad
			ends_well "$command" "byte $at bit $((i % 8))"
			[ "$command" != verify ] || [ $code -ne 0 ] || [ "$want" = "$(ledgerbox tail -n all --format json | sha256sum)" ] || {
				echo "verified, but other: byte $at bit $((i % 8))"
				return 1
			}
		done < <(readers; writers)
	done
}

# --- Rows and schemas that no append makes ------------------------------------------------------

@test "a row of any shape is damage, and no reader crashes on it" {
	local change command bad=0
	while read -r change; do
		put whole.db
		unguarded "$change" > done.txt 2>&1 || { echo "$change: could not be done: $(cat done.txt)"; bad=1; continue; }
		cp ledger.db bad
		for command in verify 'tail -n all --format json' 'tail -s product/' 'show 5 --proof' status; do
			put bad
			ends_well "$command" "$change" || bad=1
			[ "$command" != verify ] || [ $code -ne 0 ] || { echo "$change: verified"; bad=1; }
		done
	done <<-'END'
	update event set signing_key = 99 where position = 5
	update chain set id = 1152921504606847960; update event set chain = 1152921504606847960
	update chain set id = 100000000; update event set chain = 100000000 where position > 5
	update domain set name = replace(hex(zeroblob(100000)), '00', 'a')
	update signing_key set name = replace(hex(zeroblob(100000)), '00', 'k')
	update event set tags = replace(hex(zeroblob(50000)), '00', 'a ')
	update event set type = replace(hex(zeroblob(50000)), '00', 't') where position = 5
	update event set stream = 'a/' || replace(hex(zeroblob(50000)), '00', 's') where position = 5
	update event set stream = '/' where position = 5
	update event set payload = '{' where position = 5
	update event set payload = replace(hex(zeroblob(5000000)), '00', '[') where position = 5
	update event set metadata = '{"correlation_id":"\ud8'
	update event set payload = null, metadata = null, salt = null, body = zeroblob(32)
	update event set hash = x'', prev = x''
	update event set id = zeroblob(100000) where position = 5
	update event set position = position + 9223372036854775000
	update event set position = -position
	update event set sequence = 9223372036854775807 where position = 30
	update event set version = -1
	update event set clock = 9223372036854775807 where position = 30
	update event set time = -1
	update seal set position = 9223372036854775807
	update seal set position = 1000000
	update seal set node = '../../x'
	update seal set epoch = 9223372036854775807
	update seal set link = zeroblob(1000000)
	delete from seal
	delete from chain
	insert into mark values (1024, zeroblob(32), 0, 0)
	insert into mark values (1048576, zeroblob(32), 0, 9000000000000000)
	END
	[ $bad -eq 0 ]
}

# In the place of table event stands what $1 makes of `old`.
in_its_place() {
	put whole.db
	sqlite3 ledger.db "$(sqlite3 ledger.db "select 'drop trigger ' || name || ';' from sqlite_schema where type = 'trigger'")
		drop view events; drop index event_id; drop index event_chain; drop index event_type;
		alter table event rename to old; $1" > /dev/null
	cp ledger.db bad
}

columns='chain, sequence, domain, id, stream, version, type, schema, clock, time, tags, signing_key, salt, prev, hash, mac, body, metadata'
indexes='create index event_id on event(id); create index event_chain on event(chain, sequence);
	create index event_type on event(type);'

@test "what only looks like a ledger's tables is not obeyed, and never verifies" {
	local name how bad=0
	while IFS='|' read -r name how; do
		in_its_place "$(eval "echo \"$how\"")"
		all_end_well bad "$name" || bad=1
		put bad
		ends_well verify "$name" || bad=1
		[ $code -ne 0 ] || { echo "$name: verified"; bad=1; }
	done <<-'END'
	a view|create view event as select * from old
	an endless view|create view event as with recursive c(v) as (select 1 union all select v + 1 from c) select v as position, $columns, payload from c, old
	other columns|create table event(a)
	rows twice|create table event(position, $columns, payload); insert into event select position, $columns, payload from old union all select position, $columns, payload from old; $indexes
	a virtual table|create virtual table event using fts5(position, chain, sequence, payload)
	END
	[ $bad -eq 0 ]
}

@test "a schema that makes values of 1 GB is damage, not a hang" {
	in_its_place "create table event(position integer primary key, $columns, payload as (hex(zeroblob(400000000))));
		insert into event select position, $columns from old; $indexes drop table old;"
	local command
	while read -r command; do
		put bad
		ends_well "$command" 'a generated column'
		[ "$command" != verify ] || [ $code -eq 3 ]
	done < <(readers)
}

@test "pages that lead to each other for ever are damage, not a hang" {
	local table
	for table in event seal domain chain signing_key; do
		put whole.db
		python3 - $table <<-'END'
		import sqlite3, struct, sys
		# Sixteen levels of inner pages, each with three hundred ways to the next: 300^16 rows.
		LEVELS, WAYS, PAGE = 16, 300, 4096
		db = sqlite3.connect("ledger.db")
		(root,) = db.execute("select rootpage from sqlite_schema where name = ?", sys.argv[1:]).fetchone()
		(n,) = db.execute("pragma page_count").fetchone()
		db.execute("pragma writable_schema = on")
		db.execute("update sqlite_schema set rootpage = ? where name = ?", (n + 1, sys.argv[1]))
		db.commit()
		db.execute("pragma wal_checkpoint(truncate)")
		db.close()
		file = bytearray(open("ledger.db", "rb").read())
		for level in range(LEVELS):
		    child = root if level == LEVELS - 1 else n + level + 2
		    cell, page = struct.pack(">I", child) + b"\xff\xff\xff\x7f", bytearray(PAGE)
		    first = PAGE - WAYS * len(cell)
		    page[first:] = cell * WAYS
		    struct.pack_into(">BHHHBI", page, 0, 5, 0, WAYS, first, 0, child)
		    for i in range(WAYS):
		        struct.pack_into(">H", page, 12 + 2 * i, first + i * len(cell))
		    file += page
		struct.pack_into(">I", file, 28, n + LEVELS)
		open("bad", "wb").write(file)
		END
		put bad
		ends_well verify "$table"
		put bad
		ends_well 'tail -n 3' "$table"
		put bad
		ends_well status "$table"
	done
}

@test "a trigger that swallows events is not answered for" {
	sqlite3 ledger.db "create trigger z before insert on event begin select raise(ignore); end"
	fails 3 ledgerbox append -d d1 -t t 1
	[ -z "$output" ]
	fails 3 ledgerbox verify
	[[ $output == *"SCHEMA_CHANGED"*"trigger z"* ]]
}

# --- Clocks -------------------------------------------------------------------------------------

# The seal of the ledger with another clock, signed anew with the key (the last event too).
set_clock() {
	python3 - "$1" <<-'END'
	import hashlib, hmac, sqlite3, sys
	key, clock = bytes.fromhex(open("ledger.key").read().strip()), int(sys.argv[1])
	def be(n): return n.to_bytes(8, "big")
	def pae(*parts): return be(len(parts)) + b"".join(be(len(p)) + p for p in parts)
	def sha(b): return hashlib.sha256(b).digest()
	def sign(label, b): return hmac.new(key, label + b"\0" + b, hashlib.sha256).digest()
	db = sqlite3.connect("ledger.db", isolation_level=None)
	guards = db.execute("select name, sql from sqlite_schema where type = 'trigger' order by rowid").fetchall()
	for name, _ in guards: db.execute("drop trigger " + name)
	(pos, origin, epoch, domain, seq, prev, id, time, stream, version, type, schema, tags, kid, salt, meta, payload) = db.execute(
	    """select position, origin, epoch, name, sequence, prev, e.id, time, stream, version, type, schema, tags,
	    (select name from signing_key), salt, metadata, payload from event e join chain c on c.id = chain
	    join domain d on d.id = e.domain order by position desc limit 1""").fetchone()
	body = sha(pae(b"ledgerbox/body/v1", salt, payload.encode(), meta.encode()))
	hash = sha(pae(b"ledgerbox/event/v1", kid.encode(), origin.encode(), be(epoch), domain.encode(), be(seq), prev, id, be(clock),
	    be(time), *[p.encode() for p in stream.split("/", 1)], be(version), type.encode(), be(schema),
	    pae(*[t.encode() for t in tags.split()]), body))
	db.execute("update event set clock = ?, hash = ?, mac = ? where position = ?", (clock, hash, sign(b"ledgerbox/mac/v1", hash), pos))
	link = bytes(32)
	for (h,) in db.execute("select hash from event order by position"): link = sha(link + h)
	node, epoch, inode, birth = db.execute("select node, epoch, inode, birth from seal").fetchone()
	mac = sign(b"ledgerbox/seal/v1", pae(node.encode(), be(epoch), be(pos), be(clock), link, be(inode), be(birth)))
	db.execute("update seal set clock = ?, link = ?, mac = ?", (clock, link, mac))
	for _, sql in guards: db.execute(sql)
	END
	rm -rf "$XDG_STATE_HOME"/ledgerbox/*.head
}

@test "a clock of the past goes on behind the ledger's own, with a warning" {
	set_clock $((($(date +%s) + 7200) * 1000000))
	works ledgerbox verify -q
	works ledgerbox append -d d1 -t t 1
	[[ $stderr == *"the ledger's clock is 7"[0-9][0-9][0-9]" s ahead of this machine's"* ]]
	works ledgerbox append -d d1 -t t 2
	works ledgerbox verify -q
	[ "$(sqlite3 ledger.db 'select max(clock) - min(clock) from event where position >= 30')" -eq 2 ]
}

@test "a clock at its end takes no event" {
	set_clock $((2 ** 53 - 1))
	works ledgerbox verify -q
	fails 14 ledgerbox append -d d1 -t t 1
	[[ $stderr == *"the ledger's clock has come to its end"* ]]
	works ledgerbox tail --format json
	works ledgerbox verify -q
}

@test "keys may change while somebody follows" {
	ledgerbox tail -f -n all --format payload > followed 2> err 3>&- &
	local follower=$!
	ledgerbox append -d d1 -t t -q '"old key"'
	until_true grep -q 'old key' followed
	openssl rand -hex 32 > new.key
	chmod 600 new.key
	printf 'node: store-a\ndatabase: ledger.db\nkeys: {sign: new.key, verify: [ledger.key]}\n' > new.yaml
	works ledgerbox append --config new.yaml -d d1 -t t -q '"new key"'
	until_true grep -q 'new key' followed
	kill -INT $follower
	wait $follower
	works ledgerbox verify -q --config new.yaml
	fails 15 ledgerbox verify
}

# --- Moments ------------------------------------------------------------------------------------

@test "killed at any moment: each answered event is there, once, and all verifies" {
	python3 - <<-'END'
	import collections, json, os, random, subprocess, threading, time
	seed = int(os.environ.get("HOSTILE_SEED", random.randrange(10**6)))
	print("seed", seed)
	answers, bad, lock, end = [], [], threading.Lock(), time.time() + 5
	def run(r, args, lines, chance):
	    p = subprocess.Popen(["ledgerbox", *args], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
	    timer = threading.Timer(r.random() ** 2 * 0.2, p.kill)
	    if r.random() < chance:
	        timer.start()
	    out, err = p.communicate(lines)
	    timer.cancel()
	    if p.returncode not in (0, -9, 20):
	        bad.append((args, p.returncode, err[-500:]))
	    return out.decode().splitlines(True)
	def writer(k):
	    r = random.Random(seed + k)
	    while time.time() < end:
	        kind = r.choice([["--atomic"], ["--batch", "3"], [], None])
	        lines = b"".join(b'{"payload":%d}\n' % i for i in range(r.choice([3, 300])))
	        got = run(r, ["append", "-d", f"d{k % 3}", "-t", "t"] + (["1"] if kind is None else kind), lines, 0.5)
	        with lock:
	            answers.extend(line.split() for line in got if line.endswith("\n"))
	def reader(k):
	    r = random.Random(seed + k)
	    while time.time() < end:
	        args = r.choice([["tail", "-f"], ["verify"], ["status"], ["tail", "--cursor", "c"], ["verify", "--since-last"], ["backup", "--force", "b.db"]])
	        run(r, args, b"", 1 if "-f" in args else 0.5)
	threads = [threading.Thread(target=f, args=(k,)) for k, f in enumerate([writer] * 6 + [reader] * 2)]
	for t in threads: t.start()
	for t in threads: t.join()
	rows = list(map(json.loads, subprocess.run(["ledgerbox", "tail", "-n", "all", "--format", "json"], capture_output=True).stdout.splitlines()))
	by_id = {row["id"]: row for row in rows}
	assert not bad, bad[:3]
	assert len(by_id) == len(rows) and [row["position"] for row in rows] == list(range(1, len(rows) + 1))
	for position, sequence, version, id, hash in answers:
	    assert (by_id[id]["position"], by_id[id]["sequence"], by_id[id]["hash"]) == (int(position), int(sequence), hash), id
	print(len(rows), "events,", len(answers), "answered")
	assert len(answers) > 30
	END
	works ledgerbox verify --deep -q
}

@test "init killed at any moment: the next command says what is there" {
	local i
	for i in $(seq 12); do
		mkdir made && cd made
		ledgerbox init --node a -q 3>&- &
		sleep "0.0$((RANDOM % 6))"
		kill -KILL $! 2> /dev/null || true
		wait $! || true
		for command in verify 'append -d d -t t 1' 'init --node a -q'; do
			ends_well "$command" "round $i"
		done
		cd .. && rm -rf made
	done 2> /dev/null
}

# --- Streams ------------------------------------------------------------------------------------

@test "stdin, stdout and stderr closed, full, or of the wrong kind" {
	local how command bad=0 code
	export command
	while read -r command; do
		for how in '<&-' '>&-' '2>&-' '<&- >&- 2>&-' '> /dev/full' '2> /dev/full' '> /dev/full 2>&-' '< /' '< /dev/zero' '| head -c 0' '| head -c 1'; do
			code=0
			timeout 60 bash -c "set -o pipefail; { ledgerbox $command < /dev/null; } $how" > /dev/null 2>&1 || code=$?
			case $code in
			0 | 1 | 2 | 3 | 12 | 14 | 23 | 24 | 31 | 141) ;;
			*) echo "$command $how: $code" && bad=1 ;;
			esac
			case $how:$command in
			*'/dev/full':append*) [ $code -eq 31 ] || [ "$how" = '2> /dev/full' ] || { echo "$command $how: $code, not 31"; bad=1; } ;;
			'> /dev/full':tail* | '> /dev/full':show* | '> /dev/full':verify* | '> /dev/full':help | '> /dev/full':config*)
				[ $code -eq 24 ] || { echo "$command $how: $code, not 24"; bad=1; }
				;;
			esac
		done
	done <<-'END'
	tail -n 5
	show 1
	verify
	status --heads
	status --check
	config show
	cursor list
	backup --force copy.db
	append -d d1 -t t 1
	init --node b
	help
	END
	[ $bad -eq 0 ]
	works ledgerbox verify -q
}

# --- What a terminal gets -----------------------------------------------------------------------

# The bytes a terminal would get, stderr's too.
on_terminal() {
	local words
	printf -v words '%q ' "$@"
	TERM=xterm script -qefc "stty cols 120 -opost; $words" /dev/null < /dev/null > shown 2>&1 || true
}

# Escape sequences of our own (colour, cleared progress line) are taken out before looking.
shows_no_control() {
	python3 - "$*" <<-'END'
	import re, sys
	text = open("shown", "rb").read().decode("utf-8")
	text = re.sub(r"\x1b\[[0-9;]*m|\r\x1b\[K|\r", "", text)
	bad = [hex(ord(c)) for c in text if (ord(c) < 32 and c not in "\n\t") or 127 <= ord(c) < 160 or c in "\u061c\u200e\u200f\u2028\u2029\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"]
	assert not bad, (sys.argv[1], bad, text[:500])
	assert text.strip() or sys.argv[1].startswith("quiet"), sys.argv[1]
	END
}

@test "nothing from outside is obeyed by a terminal: events, whatever the format" {
	local evil format command
	evil=$(printf 'a\302\233 31mb\342\200\256c\177d\342\200\250e\330\234f')
	ledgerbox append -q -d d1 -t seen -s "product/$(printf 'x\342\200\256y')" --meta "actor=$evil" "{\"x\":\"$evil\"}"
	for format in text json tsv payload; do
		on_terminal ledgerbox tail -n 2 --format $format
		shows_no_control "tail $format"
	done
	for command in 'show 31' 'show 31 --proof' 'show 31 --format json' 'status' 'tail -s product/ --header --fields stream,payload,metadata --format tsv'; do
		on_terminal ledgerbox $command
		shows_no_control "$command"
	done
	unguarded "update event set type = char(27) || '[2J' || char(155), stream = 'a/' || char(27) || ']0;x' || char(7), payload = '\"' || char(27) || '\"', tags = char(27) || ':' || char(8238) where position = 3;
		update chain set origin = char(27) || '[2J'; update domain set name = char(8238) || char(155); update signing_key set name = char(27) || '[1m';
		insert into cursor values (char(27) || '[2J' || char(8238), 1, zeroblob(32), 0)"
	on_terminal ledgerbox status --heads
	shows_no_control 'quiet status --heads'
	for command in verify 'verify --format json' 'verify --deep' 'tail -n all' 'tail -n all --format json' 'tail -n all --format tsv' 'tail -n all --format payload' 'show 3' 'show 3 --proof' status 'status --format json' 'status --format prometheus' 'status --check' 'cursor list' 'cursor list --format json' 'backup b.db' 'append -d d1 -t t 1'; do
		on_terminal ledgerbox $command
		shows_no_control "$command"
	done
}

@test "nothing from outside is obeyed by a terminal: names, values, configs" {
	local evil bidi
	evil=$(printf 'e\033[2Jv\007\302\233l') bidi=$(printf 'a\342\200\256b')
	printf 'node: "a\\e[2J"\n' > evil.yaml
	printf 'node: store-a\n"\\e[2J\342\200\256": 1\n' > key.yaml
	printf 'node: store-a\nstate_dir: "x\342\200\256y"\ndatabase: "b\342\200\256.db"\n' > bidi.yaml
	printf '\033[2J\302\233: 1\n' > raw.yaml
	local shot command
	for shot in "$evil" "$bidi"; do
		printf 'x: 1\n' > "$shot.yaml"
		for command in "$shot" 'tail --config' 'tail --database' 'verify --key-file' 'tail --since' 'tail -n' 'tail --type' 'tail --stream' 'tail --tag' 'tail --format' 'tail --fields' 'tail --cursor' 'tail --cursor-file' 'tail -o /nonexistent/' show cursor 'cursor show' 'cursor set x' 'verify --expect-heads' 'verify --from' 'backup /nonexistent/' 'init --node' 'append -d d1 -t' 'append -t t -d' 'append -d d1 -t t -s' 'append -d d1 -t t --tag' 'append -d d1 -t t --id' 'append -d d1 -t t --time' 'append -d d1 -t t --fail-if' 'append -d d1 -t t' install-links help "--$shot"; do
			printf 'ledgerbox %s %q\n' "${command/$shot/$(printf %q "$shot")}" "$shot"
			[[ $command != tail* ]] || printf 'ledgerbox %s %q --format json\n' "$command" "$shot"
		done
		printf 'ledgerbox append -d d1 -t t @%q\nledgerbox tail --config %q.yaml\n' "$shot" "$shot"
	done > commands
	on_terminal bash -c "bash ./commands < /dev/null"
	shows_no_control commands
	[ "$(grep -c '^ledgerbox' shown)" -ge 60 ]
	local file
	for file in evil.yaml key.yaml bidi.yaml raw.yaml; do
		for command in 'config check' 'config show' tail status; do
			# shellcheck disable=SC2086
			on_terminal ledgerbox $command --config $file
			shows_no_control "$command $file"
		done
	done
	printf '{"\\u001b[2J\342\200\256":1}\n{"type":"\\u009b"}\n' > lines
	on_terminal bash -c 'ledgerbox append -d d1 < lines; tail -n 1 lines | ledgerbox append -d d1'
	shows_no_control 'lines'
	LEDGER_NODE_ID=$evil on_terminal ledgerbox status
	shows_no_control 'environment'
}

# --- Surroundings -------------------------------------------------------------------------------

@test "absurd environments are refused by name, and keep their secrets" {
	local name value
	for name in LEDGER_NODE_ID LEDGER_DB_PATH LEDGER_HMAC_KEY NATS_PRIMARY_URL NATS_SECONDARY_URL LEDGERBOX_CONFIG; do
		for value in ' ' '../../x' $'\e[2J' $'\xff\xfe' /dev/zero / "$(head -c 100000 /dev/zero | tr '\0' a)" $'nats://u:hush@\e[2J'; do
			export "$name=$value"
			ends_well 'append -d d1 -t t 1' "$name"
			[ $code -ne 0 ] || { echo "$name=$value was taken" && return 1; }
			refute_hush
			unset "$name"
		done
	done
	works ledgerbox verify -q
}

refute_hush() {
	if grep -q hush err; then
		echo "it told a password: $(cat err)"
		return 1
	fi
}

@test "a time zone of garbage is UTC or none, never a crash" {
	local zone command
	for zone in : :/dev/zero garbage ../../etc/passwd UTC-99999999 '<+99>-99' $'\e[2J' "$(head -c 50000 /dev/zero | tr '\0' a)"; do
		for command in 'tail -n 1' 'tail --on today' 'tail --since yesterday' status 'append -d d1 -t t --time 2026-01-01T00:00:00 1'; do
			TZ=$zone ends_well "$command" "TZ=$zone"
		done
	done
}

@test "no home, and a state folder that cannot be: recorded with a warning, and verified" {
	local state
	ledgerbox_here() {
		ledgerbox "$1" --database ledger.db --key-file ledger.key "${@:2}"
	}
	rm -rf "$XDG_STATE_HOME" ledger.yaml
	: > file
	for state in "$PWD/file" /proc /dev/null; do
		XDG_STATE_HOME=$state works ledgerbox_here append -d d1 -t t 1
		[[ $stderr == *"cannot be written"* ]]
		XDG_STATE_HOME=$state works ledgerbox_here verify -q
		XDG_STATE_HOME=$state works ledgerbox_here tail -n 1
		XDG_STATE_HOME=$state works ledgerbox_here status
	done
	unset HOME XDG_STATE_HOME
	works ledgerbox_here append -d d1 -t t 1
	works ledgerbox_here verify -q
}

@test "a disk that fills up: what is answered is there, and room is all it takes to go on" {
	[ "$(id -u)" -eq 0 ] || skip 'needs root to mount a small disk'
	mkdir small
	mount -t tmpfs -o size=2M none small 2> /dev/null || skip 'cannot mount'
	(full_disk) || { umount -l small && return 1; }
	umount -l small
}

full_disk() {
	local command code
	set -e
	cp ledger.key small.key
	export LEDGERBOX_CONFIG=$PWD/small/ledger.yaml
	ledgerbox init -q --node b --database small/ledger.db --config small/ledger.yaml --key-file small.key
	seq 4000 | sed "s/.*/{\"domain\":\"d\",\"type\":\"t\",\"payload\":\"&$(printf '%0300d' 0)\"}/" > in
	fails 24 ledgerbox append --batch 20 < in
	printf '%s\n' "$output" > answers
	[[ $stderr == *"are recorded, go on with: tail -n +"* ]]
	for _ in 1 2 3 4; do
		ledgerbox append -d d -t t "\"$(printf '%03000d' 1)\"" >> answers || [ $? -eq 24 ]
	done
	# An own `code`: ends_well leaves one.
	while read -r command; do
		ends_well "$command" 'full disk'
		case $command in verify* | tail* | show* | status* | cursor\ list) [ "$code" -eq 0 ] || { echo "full disk: $command: $code $(cat err)" && exit 1; } ;; esac
	done < <(readers | grep -v -e d1 -e 'show 5' -e '--tag' -e correlation)
	fails 24 ledgerbox backup small/copy.db
	[ -z "$(find small -name '*copy*')" ]
	fails 24 ledgerbox init -q --node c --database small/c.db --config small/c.yaml --key-file small/c.key
	[ -z "$(find small -name '*c.db*' -o -name '*c.yaml*' -o -name '*c.key*')" ]
	fails 24 ledgerbox append --atomic < in
	[ -z "$output" ]
	# These need little: done, or refused for want of room.
	for command in 'cursor set c 1' 'recover --offline --force' 'append -d d -t t -q --cursor c=1 1' 'append -d d -t t -q --once key 1'; do
		ends_well "$command" 'full disk'
		[ "$code" -eq 0 ] || [ "$code" -eq 24 ] || { echo "full disk: $command: $code $(cat err)" && exit 1; }
		ledgerbox verify -q --deep
	done
	ledgerbox verify -q --deep
	mount -o remount,size=20M small
	ledgerbox append -d d -t t 1 >> answers
	ledgerbox verify -q --deep
	ledgerbox tail -n all --format json > rows
	python3 - <<-'END'
	import json
	rows = {row["id"]: row["hash"] for row in map(json.loads, open("rows"))}
	lost = [line for line in open("answers") if line.strip() and rows.get(line.split()[3]) != line.split()[4]]
	assert not lost, lost[:3]
	END
}

@test "a disk that may only be read: readers read, writers say so" {
	[ "$(id -u)" -eq 0 ] || skip 'needs root to mount a disk'
	mkdir disk
	mount -t tmpfs -o size=8M none disk 2> /dev/null || skip 'cannot mount'
	(read_only_disk) || { umount -l disk && return 1; }
	umount -l disk
}

read_only_disk() {
	local command code
	set -e
	cd disk
	ledgerbox init -q --node b
	ledgerbox append -q -d d1 -t t -s product/sku-1 1
	mount -o remount,ro .
	cd ..
	read_only_round
	mount -o remount,rw disk
	sqlite3 disk/ledger.db 'pragma wal_checkpoint(truncate)' > /dev/null
	rm -f disk/ledger.db-wal disk/ledger.db-shm
	mount -o remount,ro disk
	read_only_round
}

read_only_round() {
	export LEDGERBOX_CONFIG=$PWD/disk/ledger.yaml
	while read -r command; do
		ends_well "$command" 'read-only disk'
		case $command in
		show*) [ "$code" -eq 1 ] ;;
		'status --check') ;;
		*) [ "$code" -eq 0 ] ;;
		esac || { echo "read-only disk: $command: $code: $(cat err)" && exit 1; }
	done < <(readers)
	while read -r command; do
		ends_well "$command" 'read-only disk'
		[ "$code" -eq 14 ] && grep -q 'Read-only file system' err || { echo "read-only disk: $command: $code: $(cat err)" && exit 1; }
	done < <(writers)
}

@test "another user: nothing without a right to it, reading with one, and never the key" {
	[ "$(id -u)" -eq 0 ] || skip 'needs root to become another user'
	as_another true 2> /dev/null || skip 'cannot become another user'
	local dir=$WORK
	while [ "$dir" != / ]; do as_another test -x "$dir" || chmod o+x "$dir"; dir=$(dirname "$dir"); done
	as_another test -x "$(realpath "$LEDGERBOX_BIN")" || skip 'the program is out of reach for another user'
	chmod 755 "$WORK" "$WORK"/bin.*
	unset XDG_STATE_HOME
	fails 14 as_another ledgerbox tail
	[[ $stderr == *"cannot open ledger.db: Permission denied"* ]]
	chmod 644 ledger.db
	works as_another ledgerbox tail -n 3
	[ "${#lines[@]}" -eq 3 ]
	works as_another ledgerbox status
	fails 14 as_another ledgerbox verify
	[[ $stderr == *"cannot read key file ledger.key: Permission denied"*"--hash-only"* ]]
	works as_another ledgerbox verify --hash-only
	fails 14 as_another ledgerbox append -d d1 -t t 1
	fails 14 as_another ledgerbox cursor set c 1
	fails 14 as_another ledgerbox recover --offline --force
	# Events wait in a -wal that is out of reach: refused, not left out.
	export XDG_STATE_HOME=$WORK.state
	ledgerbox append -q -d d1 -t t 1
	chmod 600 ledger.db-wal
	fails 14 as_another ledgerbox tail
	[[ $stderr == *"events waiting in its -wal"* ]]
	chmod 644 ledger.db-wal ledger.db-shm
	works as_another ledgerbox tail -n 1
	[[ $output == 31* ]]
	# A key that others may read, that is another's, or that is no file, signs nothing.
	chmod 644 ledger.key
	fails 14 ledgerbox append -d d1 -t t 1
	[[ $stderr == *"can be read by others"*"chmod 600"* ]]
	chmod 600 ledger.key
	chown 65534 ledger.key
	fails 14 ledgerbox append -d d1 -t t 1
	[[ $stderr == *"belongs to another user"* ]]
	mv ledger.key k && ln -s k ledger.key
	fails 14 ledgerbox append -d d1 -t t 1
	rm ledger.key && mkfifo ledger.key
	fails 14 ledgerbox append -d d1 -t t 1
}
