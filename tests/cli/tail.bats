load helper

prepare() {
	a_ledger
}

# Followers that a failing test leaves behind end with it.
followers=()
eval "helper_$(declare -f teardown)"
teardown() {
	[ "${#followers[@]}" -eq 0 ] || kill -9 "${followers[@]}" 2> /dev/null || true
	helper_teardown
}

# Six events in two domains, of several types, streams, tags and times.
a_mix() {
	ledgerbox append -q <<-'END'
	{"domain":"inventory","type":"stock_adjusted","stream":"product/sku-1","tags":["product:sku-1"],"time":"2026-11-18T10:00:00Z","payload":{"n":1}}
	{"domain":"inventory","type":"stock_adjusted","stream":"product/sku-2","tags":["product:sku-2","shelf:a"],"time":"2026-11-19T10:00:00Z","payload":{"n":2}}
	{"domain":"inventory","type":"price_set","stream":"product/sku-1","tags":["product:sku-1","shelf:a"],"time":"2026-11-19T23:30:00Z","payload":{"n":3}}
	{"domain":"orders","type":"order_placed","stream":"order/7","metadata":{"correlation_id":"c-7"},"time":"2026-11-20T00:30:00Z","payload":{"n":4}}
	{"domain":"orders","type":"order_paid","stream":"order/7","metadata":{"correlation_id":"c-7"},"time":"2026-11-20T10:00:00Z","payload":{"n":5}}
	{"domain":"orders","type":"note","time":"2026-11-21T10:00:00Z","payload":"a\tb\\c"}
	END
}

# positions of what tail prints with these options
positions() {
	ledgerbox tail -q --format tsv --fields position "$@" | tr '\n' ' '
}

# picks "1 2 " OPTION…
picks() {
	local want=$1 got
	shift
	got=$(positions "$@")
	[ "$got" = "$want" ] || {
		echo "tail $*: '$got' instead of '$want'"
		return 1
	}
}

is_in() {
	grep -q "$1" "$2" 2> /dev/null
}

lines_in() {
	[ "$(wc -l < "$2")" -ge "$1" ]
}

@test "an empty ledger prints nothing and is fine" {
	works ledgerbox tail
	[ -z "$output" ]
	[ -z "$stderr" ]
	works ledgerbox tail -n all -r
	[ -z "$output" ]
	works ledgerbox tail --cursor c
	works ledgerbox tail --cursor-file c
}

@test "without a bound the last ten, oldest first" {
	a_few 12
	picks "3 4 5 6 7 8 9 10 11 12 "
	picks "12 11 10 9 8 7 6 5 4 3 " -r
}

@test "lines, limit and positions choose what they say" {
	a_few 12
	picks "11 12 " -n 2
	picks "12 11 " -n 2 -r
	picks "" -n 0
	picks "1 2 3 4 5 6 7 8 9 10 11 12 " -n all
	picks "1 2 " --limit 2
	picks "12 11 " --limit 2 -r
	picks "" --limit 0
	picks "1 2 3 4 5 6 7 8 9 10 11 12 " --from 0
	picks "5 6 7 8 9 10 11 12 " --from 5
	picks "6 7 8 9 10 11 12 " --after 5
	picks "1 2 3 " --to 3
	picks "" --to 0
	picks "3 4 " --from 3 --to 4
	picks "4 3 " --from 3 --to 4 -r
	picks "" --from 4 --to 3
	picks "" --from 4 --to 3 -r
	picks "4 5 " --to 5 -n 2
	picks "5 4 " --to 5 -n 2 -r
	picks "3 4 " --after 2 --limit 2
	picks "" --after 12
	picks "" --after 18446744073709551615
	picks "" --from 9223372036854775807 -r
}

@test "filters: repeated is or, tags are and, different ones are and" {
	a_mix
	picks "4 5 6 " -d orders
	picks "1 2 3 4 5 6 " -d orders,inventory
	picks "1 2 3 4 5 6 " -d orders -d inventory
	picks "4 5 " -t order_placed,order_paid
	picks "3 4 " -t price_set -t order_placed
	picks "1 3 " -s product/sku-1
	picks "1 2 3 " -s product/
	picks "1 3 4 5 " -s product/sku-1 -s order/7
	picks "1 3 " --tag product:sku-1
	picks "3 " --tag product:sku-1 --tag shelf:a
	picks "4 5 " --correlation c-7
	picks "1 2 3 4 5 6 " --origin store-a -n all
	picks "" --origin store-b
	picks "1 " -s product/sku-1 -t stock_adjusted
	picks "2 " -n 1 --tag product:sku-2
	picks "" -d nosuch
}

@test "times: since is inclusive, until exclusive, on is a whole day" {
	a_mix
	picks "2 3 4 5 6 " --since 2026-11-19T10:00:00Z
	picks "1 " --until 2026-11-19T10:00:00Z
	picks "2 3 " --on 2026-11-19
	picks "4 5 " --on 2026-11-20
	picks "" --on 2020-01-01
	picks "" --until 1970-01-01T00:00:00Z
}

@test "a day is a local day, or with --utc one in UTC" {
	a_mix
	export TZ=Europe/Berlin
	picks "3 4 5 " --on 2026-11-20
	picks "4 5 " --on 2026-11-20 --utc
}

@test "a range in words is said on stderr, an exact one is not" {
	a_mix
	export TZ=Europe/Berlin
	works ledgerbox tail --on 2026-11-20
	[[ "$stderr" == *"since 2026-11-20T00:00:00+01:00 until 2026-11-21T00:00:00+01:00"* ]]
	works ledgerbox tail --since "2026-11-20 08:00" --utc
	[[ "$stderr" == *"since 2026-11-20T08:00:00Z"* ]]
	works ledgerbox tail --since 2026-11-20T08:00:00Z
	[ -z "$stderr" ]
	works ledgerbox tail -q --on 2026-11-20
	[ -z "$stderr" ]
}

@test "a bad value is 2 and named" {
	a_few 1
	local call
	while read -r call; do
		# shellcheck disable=SC2086
		fails 2 ledgerbox tail $call
		[[ "$stderr" == *"${call##* }"* ]] || { echo "$call: $stderr" && false; }
		[ -z "$output" ]
	done <<-'END'
	--from x
	--from -1
	--to 1.5
	--after 99999999999999999999
	-n some
	-n -3
	--limit -1
	--since whenever
	--until 2026-13-01
	--on 25:00
	--domain ../../x
	--type a/b
	--stream product
	--tag shelf
	--origin a.b
	--cursor a/b
	--fields nosuch
	--format xml
	--nosuch
	operand
	END
	fails 2 ledgerbox tail --stream ../../x
	[[ "$stderr" == *"'..'"* ]]
}

@test "options that contradict each other are 2" {
	a_few 1
	local call
	while read -r call; do
		# shellcheck disable=SC2086
		fails 2 ledgerbox tail $call
	done <<-'END'
	-n 1 --limit 1
	-f -r
	-f -o out
	--from 1 --after 1
	--on 2026-11-20 --since 2026-11-20
	--cursor a --cursor-file b
	--cursor a -r
	--cursor a -n 1
	--cursor-file a --from 1
	--format json --fields id
	--format payload --header
	--correlation=
	--domain a,,b
	END
}

@test "text in a pipe: columns with two spaces, nothing cut, nothing escaped" {
	a_mix
	works ledgerbox tail -n all
	[ "${lines[0]}" = '1  2026-11-18 10:00:00  inventory  stock_adjusted  product/sku-1  {"n":1}' ]
	[ "${lines[5]}" = '6  2026-11-21 10:00:00  orders  note  -  "a\tb\\c"' ]
	works ledgerbox tail --fields type,position --header -n 1
	[ "${lines[0]}" = 'type  position' ]
	[ "${lines[1]}" = 'note  6' ]
}

@test "text shows local time, with --utc UTC" {
	a_mix
	export TZ=Europe/Berlin
	works ledgerbox tail --fields time --to 1
	[ "$output" = "2026-11-18 11:00:00" ]
	works ledgerbox tail --fields time --to 1 --utc
	[ "$output" = "2026-11-18 10:00:00Z" ]
}

@test "json is the event line with its position" {
	a_mix
	ledgerbox tail -n all --format json > all
	[ "$(wc -l < all)" -eq 6 ]
	python3 - <<-'END'
	import json
	events = [json.loads(line) for line in open("all")]
	assert [e["position"] for e in events] == [1, 2, 3, 4, 5, 6]
	assert all(e["v"] == 1 and e["origin"] == "store-a" and len(e["hash"]) == 64 for e in events)
	assert events[1]["tags"] == ["product:sku-2", "shelf:a"]
	assert events[0]["time"] == "2026-11-18T10:00:00.000000Z"
	assert events[5]["payload"] == "a\tb\\c"
	assert "stream" not in events[5] and "metadata" not in events[5]
	END
}

@test "tsv has the documented columns, escapes, and nothing for what is absent" {
	a_mix
	printf '{"domain":"d","type":"t","payload":{"a":\t1}}\n' | ledgerbox append -q
	ledgerbox tail -n all --format tsv --header > all
	[ "$(head -n 1 all | tr '\t' ' ')" = "position id origin epoch domain sequence stream version type schema clock time tags payload metadata hash" ]
	[ "$(awk -F '\t' '{ print NF }' all | sort -u)" = 16 ]
	[ "$(awk -F '\t' 'NR == 7 { print "[" $7 "][" $8 "][" $13 "][" $15 "]" }' all)" = "[][][][]" ]
	[ "$(awk -F '\t' 'NR == 7 { print $14 }' all)" = '"a\\tb\\\\c"' ]
	[ "$(awk -F '\t' 'NR == 8 { print $14 }' all)" = '{"a":\t1}' ]
	[ "$(awk -F '\t' 'NR == 3 { print $12 "|" $13 }' all)" = "2026-11-19T10:00:00.000000Z|product:sku-2 shelf:a" ]
	works ledgerbox tail --format tsv --fields mac,key,salt,prev -n 1
	[[ "$output" =~ ^[0-9a-f]{64}$'\t'hs256-[0-9a-f]{16}$'\t'[0-9a-f]{32}$'\t'[0-9a-f]{64}$ ]]
}

@test "payload is exactly the bytes that were given" {
	printf '%s\n' '{"domain":"d","type":"t","payload":{ "z":1.50e+3,"a" : "\u00e9\/", "a":-0 }}' | ledgerbox append -q
	works ledgerbox tail --format payload
	[ "$output" = '{ "z":1.50e+3,"a" : "\u00e9\/", "a":-0 }' ]
}

@test "many events come whole and in order, forward and back" {
	seq 5000 | awk '{ printf "{\"domain\":\"d\",\"type\":\"t\",\"payload\":{\"n\":%d,\"x\":\"%0400d\"}}\n", $1, 0 }' |
		ledgerbox append -q
	ledgerbox tail -n all --format tsv --fields position > forward
	seq 5000 | cmp - forward
	ledgerbox tail -n all -r --format json | sed 's/.*"position":\([0-9]*\).*/\1/' > back
	seq 5000 -1 1 | cmp - back
	[ "$(ledgerbox tail --limit 4000 --format json | wc -l)" -eq 4000 ]
	[ "$(ledgerbox tail -n 4000 -r --format json | tail -n 1 | sed 's/.*"position":\([0-9]*\).*/\1/')" -eq 1001 ]
}

@test "a reader that goes away ends it quietly" {
	seq 20000 | awk '{ printf "{\"domain\":\"d\",\"type\":\"t\",\"payload\":%d}\n", $1 }' | ledgerbox append -q
	run --separate-stderr bash -c 'ledgerbox tail -n all --format json | head -n 1; echo "${PIPESTATUS[0]}"'
	[ "${lines[1]}" = 0 ]
	[ -z "$stderr" ]
}

@test "a full stdout is told" {
	a_few 1
	run --separate-stderr bash -c 'ledgerbox tail > /dev/full'
	[ "$status" -eq 24 ]
	[ -n "$stderr" ]
}

@test "-o replaces the file only when all is well" {
	a_few 2
	echo old > out
	fails 2 ledgerbox tail -o out --from x
	[ "$(cat out)" = old ]
	works ledgerbox tail -o out --format tsv --fields position
	[ -z "$output" ]
	[ "$(tr '\n' ' ' < out)" = "1 2 " ]
}

# --- Cursors

@test "a cursor prints what is new since the last run" {
	a_few 3
	picks "1 2 3 " --cursor mail
	picks "" --cursor mail
	a_few 2
	picks "4 5 " --cursor mail
	[ "$(ledgerbox cursor show mail --format json | grep -o '"position":5')" ]
}

@test "a cursor moves over what was passed over, and with a limit only to the last printed" {
	a_mix
	picks "" --cursor c --to 0
	picks "" --cursor c --until 1970-01-01T00:00:00Z
	picks "1 2 " --cursor c --limit 2
	picks "3 " --cursor c --to 3
	picks "" --cursor c -t nosuch
	ledgerbox cursor show c --format json | grep -q '"position":6'
	picks "" --cursor c
}

@test "a cursor stays where the reader did not take everything" {
	seq 20000 | awk '{ printf "{\"domain\":\"d\",\"type\":\"t\",\"payload\":%d}\n", $1 }' | ledgerbox append -q
	ledgerbox cursor set c 1 -q
	ledgerbox tail --cursor c --format json | head -n 1
	ledgerbox cursor show c --format json | grep -q '"position":1,'
	run ledgerbox tail --cursor c -o /nosuch/folder/out
	[ "$status" -ne 0 ]
	ledgerbox cursor show c --format json | grep -q '"position":1,'
}

@test "a cursor with -o moves once the file is in place" {
	a_few 2
	works ledgerbox tail --cursor c -o out --format tsv --fields position
	[ "$(tr '\n' ' ' < out)" = "1 2 " ]
	ledgerbox cursor show c --format json | grep -q '"position":2'
}

@test "a cursor file is one line, position and hash" {
	a_few 3
	picks "1 2 " --cursor-file pos --to 2
	[[ "$(cat pos)" =~ ^2\ [0-9a-f]{64}$ ]]
	[ "$(cut -d ' ' -f 2 pos)" = "$(ledgerbox tail --from 2 --to 2 --format tsv --fields hash)" ]
	picks "3 " --cursor-file pos
	picks "" --cursor-file pos
	[ "$(ls pos*)" = pos ]
}

@test "a cursor file of another history is 14, one that is none is 12" {
	a_few 3
	ledgerbox tail --cursor-file pos -q > /dev/null
	sed 's/^3 /2 /' pos > moved
	fails 14 ledgerbox tail --cursor-file moved
	sed 's/^3 /9 /' pos > ahead
	fails 14 ledgerbox tail --cursor-file ahead
	[ -z "$output" ]
	echo "hello world" > text
	fails 12 ledgerbox tail --cursor-file text
	printf '3' > cut
	fails 12 ledgerbox tail --cursor-file cut
	cat pos pos > two
	fails 12 ledgerbox tail --cursor-file two
	: > empty
	picks "1 2 3 " --cursor-file empty
}

# --- Following

@test "-f prints what is there, then what comes" {
	a_few 2
	ledgerbox tail -f --format tsv --fields position > out 3>&- &
	local pid=$!
	followers+=($!)
	until_true lines_in 2 out
	a_few 1
	until_true lines_in 3 out
	a_few 2
	until_true lines_in 5 out
	kill -TERM $pid
	wait $pid
	[ "$(tr '\n' ' ' < out)" = "1 2 3 4 5 " ]
}

@test "-f ends with 0 on SIGINT and says the position" {
	a_few 3
	# A background job of a script ignores SIGINT: python gives it back.
	python3 - <<-'END'
	import signal, subprocess
	p = subprocess.Popen(["ledgerbox", "tail", "-f", "-t", "nosuch,stock_adjusted"], stdout=subprocess.PIPE,
		stderr=subprocess.PIPE, text=True, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
	for _ in range(3):
	    assert p.stdout.readline()
	p.send_signal(signal.SIGINT)
	out, err = p.communicate(timeout=10)
	assert p.returncode == 0, (p.returncode, err)
	assert "position 3" in err, err
	END
}

@test "-f sees events of another process within 50 ms" {
	a_few 1
	python3 - <<-'END'
	import subprocess, time
	p = subprocess.Popen(["ledgerbox", "tail", "-f", "--format", "tsv", "--fields", "position"], stdout=subprocess.PIPE)
	p.stdout.readline()
	best = 9
	for i in range(5):
	    subprocess.run(["ledgerbox", "append", "-q", "-d", "d", "-t", "t", "1"], check=True)
	    done = time.monotonic()
	    assert int(p.stdout.readline()) == i + 2
	    best = min(best, time.monotonic() - done)
	p.terminate()
	assert p.wait(timeout=10) == 0
	assert best < 0.05, best
	END
}

@test "-f with a limit or an end ends by itself" {
	a_few 2
	ledgerbox tail -f --limit 3 --format tsv --fields position > out 3>&- &
	local one=$!
	followers+=($!)
	ledgerbox tail -f --to 4 --format tsv --fields position > out2 3>&- &
	local two=$!
	followers+=($!)
	until_true lines_in 2 out
	a_few 3
	wait $one
	wait $two
	[ "$(tr '\n' ' ' < out)" = "1 2 3 " ]
	[ "$(tr '\n' ' ' < out2)" = "1 2 3 4 " ]
}

@test "-f notices that its reader has gone" {
	a_few 1
	run timeout 60 bash -c 'ledgerbox tail -f | head -n 1'
	[ "$status" -eq 0 ]
	[ "${#lines[@]}" -eq 1 ]
}

@test "-f with a cursor stores it as it goes" {
	a_few 2
	ledgerbox tail -f --cursor c --format tsv --fields position > out 3>&- &
	local pid=$!
	followers+=($!)
	until_true lines_in 2 out
	a_few 1
	until_true bash -c "ledgerbox cursor show c --format json | grep -q '\"position\":3'"
	kill -9 $pid
	wait $pid || true
	picks "" --cursor c
}

# --- Terminals

# on_terminal WIDTH COMMAND…: its output as a terminal of that width gets it
on_terminal() {
	python3 - "$@" <<-'END'
	import fcntl, os, pty, struct, sys, termios
	pid, fd = pty.fork()
	if pid == 0:
	    fcntl.ioctl(1, termios.TIOCSWINSZ, struct.pack("HHHH", 24, int(sys.argv[1]), 0, 0))
	    os.execvp(sys.argv[2], sys.argv[2:])
	out = b""
	while True:
	    try:
	        got = os.read(fd, 65536)
	    except OSError:
	        break
	    if not got:
	        break
	    out += got
	os.waitpid(pid, 0)
	sys.stdout.buffer.write(out.replace(b"\r\n", b"\n"))
	END
}

@test "a terminal gets no control character, in any format" {
	printf '%s\n' '{"domain":"d","type":"t","stream":"s/\u202egpj","payload":"\u009b \u202e"}' > in
	python3 -c 'print("""{"domain":"d","type":"t","stream":"s/x\u202ey","payload":"a\u009b31m\u202e \x7f"}""")' >> in
	ledgerbox append -q < in
	local format
	for format in text json tsv payload; do
		on_terminal 200 ledgerbox tail --format "$format" > out
		[ -s out ]
		python3 - <<-'END'
		text = open("out", encoding="utf-8").read()
		bad = [c for c in text if (ord(c) < 32 and c not in "\n\t") or 127 <= ord(c) < 160 or c == "\u202e"]
		assert not bad, bad
		END
	done
}

@test "on a terminal text is aligned and cut to the width" {
	ledgerbox append -q -d inventory -t stock_adjusted -s product/sku-1 "{\"text\":\"$(printf '%0300d' 0)\"}"
	ledgerbox append -q -d a -t b '"é日本"'
	on_terminal 90 ledgerbox tail > out
	python3 - <<-'END'
	lines = open("out", encoding="utf-8").read().splitlines()
	assert len(lines[0]) == 90 and lines[0].endswith("…"), lines
	assert lines[0].index("{") == lines[1].index('"'), lines
	END
}

@test "colour only on a terminal and without NO_COLOR" {
	a_few 1
	unset NO_COLOR
	export TERM=xterm
	on_terminal 80 ledgerbox tail | grep -q $'\033\\[1m'
	! ledgerbox tail | grep -q $'\033'
	NO_COLOR=1 on_terminal 80 ledgerbox tail > out
	! grep -q $'\033' out
}
