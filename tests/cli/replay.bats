# Who gets the events: handlers, projections, a pipe.

load helper

prepare() {
	a_ledger
	chmod go-w .
}

# events N [STREAMS]: numbered payloads, in so many streams.
events() {
	local i
	for i in $(seq "$1"); do
		printf '{"domain":"inventory","type":"stock_adjusted","stream":"product/sku-%d","payload":{"n":%d}}\n' \
			$((i % ${2:-2})) "$i"
	done | ledgerbox append -q > /dev/null
}

# handler NAME KEYS: a program NAME (from stdin) and its row in the config.
handler() {
	{
		echo '#!/bin/bash'
		cat
	} > "$1"
	chmod 755 "$1"
	grep -q '^handlers:' ledger.yaml || echo 'handlers:' >> ledger.yaml
	sed -i "/^handlers:/a \\  $1: {domain: inventory, exec: [./$1], ${2:-start: beginning}}" ledger.yaml
}

# A co-process: `answer` is called for each line with its id and position.
coprocess() {
	handler "$1" "mode: lines, ${2:-start: beginning}" <<-END
	$(cat)
	while IFS= read -r line; do
		id=\${line#*'"id":"'}
		id=\${id%%'"'*}
		position=\${line#*'"position":'}
		position=\${position%%,*}
		answer
	done
	END
}

# A projection of how often and how late each product was adjusted.
stock() {
	echo 'create table stock (sku text primary key, times integer, last integer, seen integer) strict;' > stock.sql
	cat >> ledger.yaml <<-'END'
	projections:
	  stock:
	    database: stock.db
	    schema: stock.sql
	    domains: [inventory]
	    apply:
	      stock_adjusted: "insert into stock values (:stream_key, 1, :payload->>'$.n', :position) on conflict do update set times = times + 1, last = excluded.last, seen = excluded.seen"
	END
}

content() {
	sqlite3 "${1:-stock.db}" 'select * from stock order by sku'
}

cursor() {
	ledgerbox cursor show "handler:$1" | awk '{ print $2 }'
}

# --- A pipe

@test "--stdout prints the event lines of tail, whatever is chosen" {
	events 5
	diff <(ledgerbox replay --stdout) <(ledgerbox tail -n all --format json)
	diff <(ledgerbox replay --stdout --from 2 --to 4) <(ledgerbox tail --from 2 --to 4 --format json)
	diff <(ledgerbox replay --stdout --stream product/sku-1) <(ledgerbox tail -n all --stream product/sku-1 --format json)
	[ "$(ledgerbox replay --stdout --limit 2 | wc -l)" -eq 2 ]
	[ -z "$(ledgerbox replay --stdout --limit 0)" ]
	[ -z "$(ledgerbox cursor list)" ]
	ledgerbox replay --stdout | head -n 1 > /dev/null
}

@test "in a ledger of one node the shared order is that of arrival" {
	events 40 3
	ledgerbox append -q -d sales -t sold 1
	events 3
	diff <(ledgerbox replay --stdout --order shared) <(ledgerbox replay --stdout)
	diff <(ledgerbox replay --stdout --order shared --from 7 --to 42 --domain inventory) \
		<(ledgerbox replay --stdout --from 7 --to 42 --domain inventory)
	[ "$(ledgerbox replay --stdout --order shared --limit 3 | wc -l)" -eq 3 ]
}

@test "--stdout --follow says when it is live and goes on" {
	events 1
	ledgerbox replay --stdout --follow > out 2> talk &
	until_true grep -q 'live' talk
	events 1
	until_true [ "$(wc -l < out)" -eq 2 ] || true
	until_true grep -q '"position":2' out
	kill $!
	wait $!
}

# --- Handlers of mode each

@test "each: payload on stdin, facts in a scrubbed environment, three descriptors" {
	handler seen <<-'END'
	cat > payload
	env | sort > env
	ls /proc/self/fd > fds
	pwd > folder
	END
	ledgerbox append -q -d inventory -t stock_adjusted -s 'product/a b' --tag product:a '{"n": 1}'
	SECRET=1 LEDGER_DB_PATH='' works ledgerbox replay 7< /dev/null 8> /dev/null
	[ "$output" = "seen  1 event, at position 1" ]
	[ "$(cat payload)" = '{"n": 1}' ]
	[ "$(cat folder)" = "$PWD" ]
	# ls has one open by itself.
	[ "$(tr '\n' ' ' < fds)" = "0 1 2 3 " ]
	! grep SECRET env
	ledgerbox tail --format json > event
	for pair in ID:id POSITION:position ORIGIN:origin EPOCH:epoch DOMAIN:domain SEQUENCE:sequence STREAM:stream \
		VERSION:version TYPE:type SCHEMA:schema CLOCK:clock TIME:time HASH:hash; do
		grep -qxF "LEDGER_EVENT_${pair%:*}=$(jq -r ".${pair#*:}" event)" env || { echo "$pair" && return 1; }
	done
	grep -qxF LEDGER_EVENT_TAGS=product:a env
	[ -z "$(grep -vE '^(LEDGER_|HOME=|USER=|LOGNAME=|TZ=|LC_ALL=|PATH=|PWD=|SHLVL=|_=)' env)" ]
}

@test "each event goes to a handler once, in order, over many runs" {
	handler count <<-'END'
	echo "$LEDGER_EVENT_POSITION" >> count.out
	END
	events 3
	works ledgerbox replay
	works ledgerbox replay
	[ "$output" = "count  0 events, at position 3" ]
	events 2
	works ledgerbox replay count --limit 1
	[ "$(cursor count)" -eq 4 ]
	works ledgerbox replay
	[ "$(tr '\n' ' ' < count.out)" = "1 2 3 4 5 " ]
	works ledgerbox cursor list
	[[ "$output" == "handler:count  5  0  "* ]]
}

@test "start: now leaves out what there is, a position what is before it" {
	events 3
	handler now 'start: now' <<< 'echo $LEDGER_EVENT_POSITION >> now.out'
	handler four 'start: 4' <<< 'echo $LEDGER_EVENT_POSITION >> four.out'
	works ledgerbox replay
	events 2
	works ledgerbox replay
	[ "$(tr '\n' ' ' < now.out)" = "4 5 " ]
	[ "$(tr '\n' ' ' < four.out)" = "4 5 " ]
	sed -i 's/start: 4/mode: each/' ledger.yaml
	fails 2 ledgerbox replay
	[[ "$stderr" == *"'start' is missing"* ]]
}

@test "an event goes to the handlers that say most about it" {
	for name in domain type schema; do
		handler $name <<< "echo $name \$LEDGER_EVENT_POSITION >> out"
	done
	sed -i -e 's/type: {/type: {type: a, /' -e 's/schema: {/schema: {type: a, schema: 2, /' ledger.yaml
	for event in 'a 1' 'a 2' 'b 1' 'b 2'; do
		ledgerbox append -q -d inventory -t ${event% *} --schema ${event#* } 1
	done
	ledgerbox append -q -d other -t a 1
	works ledgerbox replay
	[ "$(sort out | tr '\n' ' ')" = "domain 3 domain 4 schema 2 type 1 " ]
}

@test "a failure is tried again; then the handler stops before it and says so" {
	handler weak 'start: beginning, retries: 2' <<-'END'
	echo "$LEDGER_EVENT_POSITION" >> weak.out
	[ -e mended ] || [ "$LEDGER_EVENT_POSITION" -ne 2 ] || { echo 'no such product' >&2; exit 3; }
	END
	events 3
	fails 21 ledgerbox replay
	[ "$(tr '\n' ' ' < weak.out)" = "1 2 2 2 " ]
	[[ "$stderr" == *"weak stopped before position 2 after 3 failures: exit code 3: no such product"* ]]
	[ "$(cursor weak)" -eq 1 ]
	fails 21 ledgerbox replay --format json
	[ "$(tail -n 1 <<< "$stderr" | jq -r .retryable)" = true ]
	touch mended
	works ledgerbox replay
	[ "$(cursor weak)" -eq 3 ]
	[ "$(sqlite3 ledger.db 'select count(*) from failing')" -eq 0 ]
}

@test "a program over its time is ended with all it started" {
	handler slow 'start: beginning, timeout: 300ms, retries: 0' <<-'END'
	sleep 1000 & echo $! > child
	trap '' TERM
	wait
	wait
	END
	events 1
	fails 22 ledgerbox replay
	[[ "$stderr" == *"it had not ended after 300 ms"* ]]
	gone() {
		! kill -0 "$(cat child)" 2> /dev/null
	}
	until_true gone
}

@test "what a program leaves running ends with it, and is not waited for" {
	handler forks <<< 'sleep 1000 & echo $! >> children'
	events 2
	works ledgerbox replay
	while read -r child; do
		gone() {
			! kill -0 "$child" 2> /dev/null
		}
		until_true gone
	done < children
}

@test "what a program prints is shown, escaped, and not without end" {
	handler loud 'start: beginning' <<-'END'
	printf 'a\033[31mb\n'
	yes | head -c 3000000
	END
	events 1
	works ledgerbox replay
	[[ "$stderr" == *'loud: a\x1B[31mb'* ]]
	[ "${#stderr}" -lt 3000000 ]
	works ledgerbox replay loud -q --again --from 1
	[ -z "$stderr" ]
}

@test "no program is run from a config, or of a file, that others can write" {
	handler safe <<< 'touch ran'
	events 1
	for file in ledger.yaml safe .; do
		chmod g+w $file
		fails 14 ledgerbox replay
		[[ "$stderr" == *"can be written by others"* ]]
		chmod g-w $file
	done
	[ ! -e ran ]
	works ledgerbox replay --stdout
	sed -i 's|\./safe|safe|' ledger.yaml
	fails 2 ledgerbox replay
	sed -i 's|\[safe|[./nothing|' ledger.yaml
	fails 2 ledgerbox replay
	[[ "$stderr" == *nothing* ]]
}

@test "a copied ledger runs no handlers" {
	handler mail <<< 'touch mailed'
	events 1
	cp ledger.db other && mv other ledger.db
	fails 14 ledgerbox replay
	[ ! -e mailed ]
}

# --- Parking

@test "what fails too often is parked, later events of its stream behind it; the rest goes on" {
	handler picky 'start: beginning, retries: 5, park_after: 2' <<-'END'
	[ -e mended ] || [ "$LEDGER_EVENT_POSITION" -ne 2 ] || { echo 'out of paper' >&2; exit 1; }
	echo "$LEDGER_EVENT_POSITION" >> out
	END
	events 5 2
	works ledgerbox replay
	[[ "$stderr" == *"picky: position 2 is parked after 2 failures: exit code 1: out of paper"* ]]
	[ "$(tr '\n' ' ' < out)" = "1 3 5 " ]
	works ledgerbox replay parked list
	[[ "${lines[0]}" == "picky  2  product/sku-0  2  "*"out of paper" ]]
	[[ "${lines[1]}" == "picky  4  product/sku-0  0  "*"waits behind position 2 of its stream" ]]
	works ledgerbox replay parked list picky --format json
	[ "$(jq -s -c 'map([.position, .failures])' <<< "$output")" = '[[2,2],[4,0]]' ]
	# Also what comes later waits.
	ledgerbox append -q -d inventory -t stock_adjusted -s product/sku-0 n:=6
	works ledgerbox replay
	[ "$(ledgerbox replay parked list | wc -l)" -eq 3 ]
	fails 10 ledgerbox replay parked retry picky 4
	fails 21 ledgerbox replay parked retry picky
	[ "$(ledgerbox replay parked list --format json | head -n 1 | jq .failures)" -eq 3 ]
	touch mended
	works ledgerbox replay parked retry picky
	[ "$(tr '\n' ' ' < out)" = "1 3 5 2 4 6 " ]
	[ -z "$(ledgerbox replay parked list)" ]
	[ "$(cursor picky)" -eq 6 ]
}

@test "a parked event can be given up; verify does not mind what is parked" {
	handler never 'start: beginning, park_after: 1' <<< 'exit 1'
	events 2 1
	works ledgerbox replay
	fails 1 ledgerbox replay parked discard never 3
	works ledgerbox verify --deep
	works ledgerbox replay parked discard never 1
	[ "$(ledgerbox replay parked list | awk '{ print $2 }')" -eq 2 ]
	works ledgerbox replay parked discard never 2
	fails 1 ledgerbox replay parked retry never 2
	local call
	while read -r call; do
		# shellcheck disable=SC2086
		fails 2 ledgerbox replay parked $call
	done <<-'END'
	lost
	retry
	retry nobody
	retry never x
	discard never
	discard never 0
	list a b
	list --from 1
	list nevre
	END
}

@test "failures count over runs: what stops first is parked in the end" {
	handler bad 'start: beginning, retries: 0, park_after: 3' <<< 'exit 1'
	events 1
	fails 21 ledgerbox replay
	fails 21 ledgerbox replay
	works ledgerbox replay
	[ "$(ledgerbox replay parked list --format json | jq .failures)" -eq 3 ]
}

# --- Handlers of mode lines

@test "lines: one process gets all event lines and answers them" {
	coprocess one <<-'END'
	echo $$ >> pids
	answer() { echo "$line" >> lines.out; echo "ok $id"; }
	END
	events 300 7
	works ledgerbox replay
	[ "$output" = "one  300 events, at position 300" ]
	diff lines.out <(ledgerbox replay --stdout)
	[ "$(wc -l < pids)" -eq 1 ]
	[ "$(cursor one)" -eq 300 ]
}

@test "lines: an error is tried again in the same process; no later event of its stream came before" {
	coprocess weak 'start: beginning, retries: 3' <<-'END'
	answer() {
		echo "$position" >> out
		if [ "$position" -eq 3 ] && [ "$((tries++))" -lt 2 ]; then echo "error $id not now"; else echo "ok $id"; fi
	}
	END
	events 20 2
	works ledgerbox replay
	# Of the stream of position 3, in the order in which they came at last.
	[ "$(awk '$1 % 2' out | uniq | tr '\n' ' ')" = "1 3 5 7 9 11 13 15 17 19 " ]
	[ "$(grep -cx 3 out)" -eq 3 ]
	[ "$(sort -un out | wc -l)" -eq 20 ]
}

# misbehaves POSITION TEXT [SEEN]: what is done with position 3 (stdin) is a failure of POSITION; the rest is handled
# all the same.
misbehaves() {
	rm -rf ledger.* out ./*.db* "${XDG_STATE_HOME:?}"/*
	a_ledger
	coprocess odd 'start: beginning, retries: 0, timeout: 2s, park_after: 1' <<-END
	odd() {
		$(cat)
	}
	answer() {
		echo "\$position" >> out
		if [ "\$position" -eq 3 ]; then odd; else echo "ok \$id"; fi
	}
	END
	events 6 6
	works ledgerbox replay
	[[ "$stderr" == *"position $1 is parked"*"$2"* ]] || { echo "$stderr" && return 1; }
	[ "$(ledgerbox replay parked list | wc -l)" -eq 1 ]
	[ "$(cursor odd)" -eq 6 ]
	[ "$(sort -un out | wc -l)" -ge "${3:-6}" ]
}

@test "lines: garbage, silence, death, floods, closed pipes are a failure of the event whose turn it is" {
	misbehaves 3 'it answered' <<< 'echo "what?"'
	misbehaves 3 'it answered' <<< 'echo "ok"'
	misbehaves 3 'it answered' <<< 'echo "ok 00000000-0000-0000-0000-000000000001"'
	misbehaves 3 'it answered' <<< 'head -c 100000 /dev/zero | tr "\0" x'
	misbehaves 3 'it answered' <<< 'yes'
	misbehaves 3 'it answered' <<< "printf '\\377\\0\\n'"
	misbehaves 3 'ended without an answer: exit code 4: gone' <<< 'echo gone >&2; exit 4'
	misbehaves 3 'killed by signal 9' <<< 'kill -9 $$'
	misbehaves 3 'no answer within 2000 ms' <<< 'sleep 1000'
	misbehaves 3 'it closed its output' <<< 'exec >&-; sleep 1000'
	misbehaves 3 'no reason given' <<< 'echo "error $id"'
	# The answer of the next event before its own; also once it has had both.
	misbehaves 3 'it answered' <<-'END'
	IFS= read -r next
	next=${next#*'"id":"'}
	echo "ok ${next%%'"'*}"
	echo "ok $id"
	END
	# The second answer is taken for the next event's, which may not have been read yet.
	misbehaves 4 'it answered' 5 <<< 'echo "ok $id"; echo "ok $id"'
}

@test "lines: what a program starts does not keep it alive, nor does a deaf ear to TERM or a flood of complaints" {
	misbehaves 3 'killed by signal 9' <<< 'sleep 1000 & echo $! > child; kill -9 $$'
	gone() {
		! kill -0 "$(cat child)" 2> /dev/null
	}
	until_true gone
	misbehaves 3 'no answer within 2000 ms' <<< "trap '' TERM; (trap '' TERM; exec sleep 1000) & echo \$! > child; wait; wait"
	until_true gone
	misbehaves 3 'no answer within 2000 ms' <<< 'yes complaint >&2'
	[ "${#stderr}" -lt 1000000 ]
}

@test "lines: who does not read is not waited for for ever" {
	handler deaf 'mode: lines, start: beginning, retries: 0, timeout: 500ms' <<< 'exec <&-; sleep 1000'
	events 3
	fails 21 ledgerbox replay
	[[ "$stderr" == *"it closed its stdin"* ]]
	handler stuck 'mode: lines, start: beginning, retries: 0, timeout: 500ms' <<< 'exec sleep 1000'
	fails 22 ledgerbox replay stuck
	[[ "$stderr" == *"no answer within 500 ms"* ]]
}

@test "a handler that fails does not hold up the others" {
	handler bad 'start: beginning, retries: 0' <<< 'exit 1'
	handler good <<< 'echo $LEDGER_EVENT_POSITION >> out'
	events 3
	fails 21 ledgerbox replay
	[ "$(wc -l < out)" -eq 3 ]
	works ledgerbox replay good
}

@test "a second replay of one handler waits, then says busy" {
	coprocess slow <<< 'answer() { touch started; until [ -e go ]; do sleep 0.02; done; echo "ok $id"; }'
	events 1
	ledgerbox replay -q &
	until_true [ -e started ]
	fails 20 ledgerbox replay --timeout 100ms
	[[ "$stderr" == *"another process replays handler slow"* ]]
	touch go
	works ledgerbox replay
	[ "$output" = "slow  0 events, at position 1" ]
	wait $!
}

@test "--follow goes on with what comes, until it is told to end" {
	handler count <<< 'echo $LEDGER_EVENT_POSITION >> out'
	coprocess lines <<< 'answer() { echo $position >> lines.out; echo "ok $id"; }'
	events 2
	ledgerbox replay --follow 2> talk &
	until_true grep -q live talk
	events 2
	until_true grep -qx 4 out
	until_true grep -qx 4 lines.out
	kill $!
	wait $!
	[ "$(cursor lines)" -eq 4 ]
}

@test "on a terminal a bar says how fast it is and how long it takes, and goes" {
	handler slow <<< 'until [ "$(($(date +%s%N) / 100000000))" != "$(cat last)" ]; do sleep 0.02; done; echo "$(($(date +%s%N) / 100000000))" > last'
	touch last
	events 8
	script -qefc 'ledgerbox replay' /dev/null < /dev/null > shown
	grep -qE $'\rreplay +[0-9]+% \\[#+-+\\] [1-7] of 8, [0-9]+/s, [0-9]:[0-9][0-9] left\x1b\\[K' shown
	grep -qF $'\r\x1b[Kslow  8 events, at position 8' shown
	ledgerbox replay --again --from 1 2> talk
	[ ! -s talk ]
	events 4
	script -qefc 'ledgerbox replay -q' /dev/null < /dev/null > shown
	[ ! -s shown ]
}

@test "--again runs handlers on what is chosen and moves no cursor" {
	handler count <<< 'echo $LEDGER_EVENT_POSITION >> out'
	events 3
	for choice in '--from 1' '--from 0' '--since 1970-01-01T00:00:00Z' '--to 0' '--domain inventory' '--tag a:b'; do
		# shellcheck disable=SC2086
		fails 2 ledgerbox replay $choice
		[[ "$stderr" == *"--again"* ]]
	done
	[ ! -e out ]
	fails 2 ledgerbox replay --again
	works ledgerbox replay count --again --from 2 --to 3
	[ "$(tr '\n' ' ' < out)" = "2 3 " ]
	fails 1 ledgerbox cursor show handler:count
}

@test "--dry-run prints what would run, and runs nothing" {
	handler count <<< 'echo $LEDGER_EVENT_POSITION >> out'
	stock
	events 2
	works ledgerbox replay --dry-run
	[ "${lines[0]}" = "stock  1  stock_adjusted  product/sku-1  apply stock_adjusted" ]
	[ "${lines[3]}" = "count  2  stock_adjusted  product/sku-0  ./count" ]
	works ledgerbox replay count --dry-run --format json --from 2
	[ "$(jq -c '[.name, .position, .exec]' <<< "$output")" = '["count",2,["./count"]]' ]
	[ ! -e out ] && [ ! -e stock.db ]
	[ -z "$(ledgerbox cursor list)" ]
}

@test "bad calls are 2 and say what was bad" {
	fails 2 ledgerbox replay
	[[ "$stderr" == *"nobody to replay to"* ]]
	handler count <<< true
	stock
	local call
	while read -r call; do
		# shellcheck disable=SC2086
		fails 2 ledgerbox replay $call
		[ -n "$stderr" ]
	done <<-'END'
	cuont
	--stdout count
	--stdout --dry-run
	--stdout --again --from 1
	--order shared
	--order sideways
	--rebuild count
	--rebuild --limit 1
	--again --from 1 stock
	--again --from 1 --follow
	--dry-run --follow
	--stdout --order shared --follow
	END
	fails 2 ledgerbox replay cuont
	[[ "$stderr" == *"did you mean 'count'?"* ]]
}

# --- Projections

@test "a projection takes each event once, over many runs, and remembers where it is" {
	stock
	events 5 2
	works ledgerbox replay
	[ "$output" = "stock  5 events, at position 5" ]
	[ "$(content | tr '\n' ' ')" = "sku-0|2|4|4 sku-1|3|5|5 " ]
	works ledgerbox replay
	[ "$output" = "stock  0 events, at position 5" ]
	ledgerbox append -q -d sales -t stock_adjusted -s product/sku-1 n:=9
	events 1
	works ledgerbox replay stock --limit 1
	works ledgerbox replay stock
	[ "$(content | tr '\n' ' ')" = "sku-0|2|4|4 sku-1|4|1|7 " ]
	[ "$(sqlite3 stock.db 'select position from ledgerbox_projection')" -eq 7 ]
}

@test "a statement that fails stops there: the events before are in, of that one nothing" {
	stock
	sed -i 's|stock_adjusted: "|&insert into log values (:position); |' ledger.yaml
	echo 'create table log (position integer) strict;' >> stock.sql
	events 3 1
	ledgerbox append -q -d inventory -t stock_adjusted -s product/bad 'n=no number'
	events 1
	fails 12 ledgerbox replay
	[[ "$stderr" == *"projection stock, apply stock_adjusted, position 4: cannot store TEXT value in INTEGER column stock.last"*"insert into"* ]]
	[ "$(content)" = "sku-0|3|3|3" ]
	[ "$(sqlite3 stock.db 'select count(*) from log')" -eq 3 ]
	fails 12 ledgerbox replay
	[ "$(sqlite3 stock.db 'select position, stopped from ledgerbox_projection')" = "3|4" ]
}

@test "edited SQL and another history are 14, with the command to type" {
	stock
	events 2
	works ledgerbox replay
	sed -i 's/times + 1/times + 2/' ledger.yaml
	fails 14 ledgerbox replay
	[[ "$stderr" == *"has changed since it was built"*"ledgerbox replay stock --rebuild"* ]]
	works ledgerbox replay stock --rebuild
	works ledgerbox replay
	sqlite3 stock.db "update ledgerbox_projection set hash = zeroblob(32)"
	fails 14 ledgerbox replay
	[[ "$stderr" == *"another history"*"--rebuild"* ]]
	echo '-- a comment' >> stock.sql
	works ledgerbox replay --rebuild
	works ledgerbox replay
}

@test "the order in which the config lists things is no other definition" {
	stock
	sed -i 's/domains: \[inventory\]/domains: [inventory, sales]/; /^      stock_adjusted:/a \      sold: "select 1"' ledger.yaml
	events 1
	works ledgerbox replay
	sed -i 's/domains: .*/domains: [sales, inventory]/; /sold:/d; s/^    apply:/&\n      sold: "select 1"/' ledger.yaml
	works ledgerbox replay
}

@test "a rebuild takes the place of the old one under the eyes of its readers" {
	stock
	events 4 2
	works ledgerbox replay
	sqlite3 stock.db "update stock set times = 99"
	mkfifo ask answers
	sqlite3 stock.db < ask > answers &
	exec 8> ask 9< answers
	echo 'select sum(times) from stock;' >&8
	read -r sum <&9
	[ "$sum" -eq 198 ]
	works ledgerbox replay stock --rebuild
	echo 'select sum(times) from stock;' >&8
	read -r sum <&9
	exec 8>&- 9<&-
	wait
	[ "$sum" -eq 4 ]
	[ -z "$(ls | grep rebuild)" ]
}

@test "a rebuild that fails leaves the old one as it was" {
	stock
	events 2
	works ledgerbox replay
	content > before
	sed -i 's/times + 1/times + nowhere/' ledger.yaml
	fails 2 ledgerbox replay --rebuild
	[[ "$stderr" == *"apply stock_adjusted"*"no such column: nowhere"* ]]
	content | diff before -
	[ -z "$(ls | grep rebuild)" ]
}

@test "what is wrong in the config leaves no half-made database" {
	stock
	events 1
	echo 'create tabel x (y);' > stock.sql
	fails 2 ledgerbox replay
	[[ "$stderr" == *"its schema"*"syntax error"* ]]
	echo 'create table stock (sku text primary key, times integer, last integer, seen integer) strict;' > stock.sql
	works ledgerbox replay
	[ "$(content)" = "sku-1|1|1|1" ]
	rm stock.sql
	fails 2 ledgerbox replay
	[[ "$stderr" == *stock.sql* ]]
}

@test "a projection that is damaged, or no database, is 14 and says what to do; a new one is made of the events" {
	stock
	events 40 40
	works ledgerbox replay
	content > before
	sqlite3 stock.db 'pragma wal_checkpoint(truncate)' > /dev/null
	rm -f stock.db-wal stock.db-shm
	yes garbage | dd of=stock.db bs=512 seek=8 conv=notrunc status=none count=16 iflag=fullblock
	for file in damaged 'no database'; do
		fails 14 ledgerbox replay
		[[ "$stderr" == *"hint: move it away"* ]]
		fails 14 ledgerbox replay --rebuild
		[ "$(ledgerbox status --format json | jq -r '.consumers[0].state')" = refused ]
		echo "this is no database, it is a text" > stock.db
	done
	rm -f stock.db*
	works ledgerbox replay
	content | diff before -
}

@test "a projection does not touch what is not its own" {
	stock
	events 1
	sqlite3 stock.db 'create table mine (x)'
	fails 14 ledgerbox replay
	fails 14 ledgerbox replay --rebuild
	[[ "$stderr" == *"holds other tables"* ]]
	[ "$(sqlite3 stock.db .tables)" = mine ]
	sed -i 's/database: stock.db/database: ledger.db/' ledger.yaml
	fails 14 ledgerbox replay
	works ledgerbox verify
	sed -i 's/database: ledger.db/database: more.db/2; s/^  stock:/  more: {database: more.db, apply: {a: select 1}}\n&/' ledger.yaml
	sed -i '/^    database:/s/ledger.db/more.db/' ledger.yaml
	fails 2 ledgerbox replay
	[[ "$stderr" == *"has that database too"* ]]
}

@test "in shared order a projection has the content of any other order, and goes on" {
	stock
	events 6 3
	works ledgerbox replay
	content > arrival
	works ledgerbox replay --rebuild --order shared
	content | diff arrival -
	events 2
	works ledgerbox replay
	[ "$output" = "stock  2 events, at position 8" ]
	[ "$(sqlite3 stock.db 'select shared from ledgerbox_projection')" -eq 1 ]
}

@test "an event that sorts before what a shared projection used makes it stale" {
	stock
	events 2
	works ledgerbox replay --rebuild --order shared
	# As if what it used had been recorded later, on a node whose clock is ahead.
	sqlite3 stock.db 'update ledgerbox_projection set clock = clock + 3600000000'
	events 1
	fails 14 ledgerbox replay
	[[ "$stderr" == *"projection stock is stale: position 3"*"came late"*"ledgerbox replay stock --rebuild"* ]]
	fails 14 ledgerbox replay
	[[ "$stderr" == *"is stale"* ]]
	[ "$(content | awk -F '|' '{ n += $2 } END { print n }')" -eq 2 ]
	works ledgerbox replay --rebuild --order shared
	works ledgerbox replay
}

@test "\"*\" takes every other type; statements find all fields" {
	cat >> ledger.yaml <<-'END'
	projections:
	  all:
	    database: all.db
	    schema: all.sql
	    apply: {"*": "insert into e values (:position, :type, :schema, :id, :origin, :domain, :stream_type, :stream_key, :version, :payload, :metadata, :time, :clock)", sold: "select 1"}
	END
	echo 'create table e (position, type, schema, id, origin, domain, stream_type, stream_key, version, payload, metadata, time, clock);' > all.sql
	ledgerbox append -q <<< '{"domain":"a","type":"x","stream":"product/1","metadata":{"actor":"me"},"payload":{"n":1}}'
	ledgerbox append -q -d b -t sold 1
	works ledgerbox replay
	[ "$(sqlite3 all.db 'select position, type, schema, origin, domain, stream_type, stream_key, version, payload, metadata from e')" = \
		'1|x|1|store-a|a|product|1|1|{"n":1}|{"actor":"me"}' ]
	[ "$(sqlite3 all.db 'select id, time, clock from e')" = "$(ledgerbox tail --from 1 --to 1 --format json | jq -r '[.id, .time, .clock] | join("|")')" ]
}

@test "the words of a consumer are offered to the shell" {
	handler count <<< true
	stock
	[ "$(ledgerbox __complete -- replay '' | cut -f 1 | tr '\n' ' ')" = "count stock parked " ]
}

# --- Snapshots by policy

snapshots() {
	ledgerbox snapshot list --format json | jq -s -c 'map([.stream, .position, .verdict])'
}

@test "replay keeps states by the policy of the config, once where an event makes them due" {
	handler count <<< true
	echo 'stream_types: {product: {snapshot_every: 3}}' >> ledger.yaml
	events 5 2
	ledgerbox append -q -d inventory -t t -s other/1 1
	works ledgerbox replay
	# sku-1 has had three events, sku-0 two.
	[ "$(snapshots)" = '[["product/sku-1",5,"good"]]' ]
	[ "$(ledgerbox state product/sku-1 --format json | jq -c '[.folded, .snapshot]')" = '[0,5]' ]
	works ledgerbox replay
	works ledgerbox replay count
	[ "$(snapshots)" = '[["product/sku-1",5,"good"]]' ]
	events 1 2
	works ledgerbox replay
	[ "$(snapshots)" = '[["product/sku-1",5,"good"]]' ]
	events 2 2
	works ledgerbox replay
	[ "$(snapshots)" = '[["product/sku-0",9,"good"],["product/sku-1",5,"good"]]' ]
	[ "$(ledgerbox cursor show replay:snapshots | awk '{ print $2 }')" -eq 9 ]
}

@test "snapshots need no consumer, stop no replay, and none is taken where one only looks" {
	echo 'stream_types: {product: {snapshot_every: 1}, broken: {snapshot_every: 1}}' >> ledger.yaml
	echo 'reducers: {broken: {apply: {"*": "null"}}}' >> ledger.yaml
	ledgerbox append -q -d inventory -t t -s broken/1 1
	events 1
	works ledgerbox replay --stdout
	[ "$(snapshots)" = '[]' ]
	fails 2 ledgerbox replay count
	works ledgerbox replay
	[[ "$stderr" == *"no snapshot of broken/1: reducer of broken"* ]]
	[ "$(snapshots)" = '[["product/sku-1",2,"good"]]' ]
	works ledgerbox replay
	[ -z "$stderr" ]
	handler count <<< true
	events 1
	works ledgerbox replay --again --from 2
	works ledgerbox replay --dry-run
	[ "$(snapshots)" = '[["product/sku-1",2,"good"]]' ]
}

@test "many streams are due at once: each gets its snapshot; --follow takes them too" {
	echo 'stream_types: {product: {snapshot_every: 2}}' >> ledger.yaml
	events 1400 700
	works ledgerbox replay
	[ "$(ledgerbox snapshot list --format json | wc -l)" -eq 700 ]
	works ledgerbox snapshot check
	ledgerbox replay --follow 2> talk &
	until_true grep -q live talk
	events 2 1
	kept() {
		[ "$(ledgerbox snapshot list product/sku-0 --format json | wc -l)" -eq 2 ]
	}
	until_true kept
	kill $!
	wait $!
}

# --- Upcasters

# Three events of schema 1 to 3, of one meaning each, and what makes 3 of 1 and 2.
upcasting() {
	cat >> ledger.yaml <<-'END'
	upcast: {moved: {1: "iif(:payload->>'$.out', json_object('delta', -(:payload->>'$.out')), null)", 2: "json_object('by', :payload->'$.delta')"}}
	END
	ledgerbox append -q -d inventory -t moved -s product/1 out:=3
	ledgerbox append -q -d inventory -t moved -s product/1 --schema 2 delta:=4
	ledgerbox append -q -d inventory -t moved -s product/1 --schema 3 by:=5
}

# What cannot be cast up.
malformed() {
	ledgerbox append -q -d inventory -t moved -s "product/${1:-1}" other:=1
}

@test "upcasters are applied to what a pipe, handlers and projections get, never to what is stored" {
	upcasting
	handler three 'type: moved, schema: 3, start: beginning' <<< 'echo "$LEDGER_EVENT_SCHEMA $(cat)" >> three.out'
	coprocess lines 'type: moved, schema: 3, start: beginning' <<< 'answer() { echo "$line" >> lines.out; echo "ok $id"; }'
	handler rest 'start: beginning' <<< 'echo "$LEDGER_EVENT_SCHEMA" >> rest.out'
	cat >> ledger.yaml <<-'END'
	projections:
	  all: {database: all.db, schema: all.sql, apply: {moved: "insert into e values (:schema, :payload)"}}
	END
	echo 'create table e (schema, payload);' > all.sql
	works ledgerbox replay
	diff <(printf '3 {"by":%s}\n' -3 4 5) three.out
	diff <(jq -c '[.schema, .payload]' lines.out) <(printf '[3,{"by":%s}]\n' -3 4 5)
	diff <(sqlite3 all.db 'select * from e') <(printf '3|{"by":%s}\n' -3 4 5)
	diff <(ledgerbox replay --stdout) <(ledgerbox tail -n all --upcast --format json)
	diff <(ledgerbox replay --stdout --order shared) <(ledgerbox tail -n all --upcast --format json)
	# A handler of a schema is one of that behind the upcasters.
	[ ! -e rest.out ]
	[ "$(ledgerbox replay --dry-run three --from 1 | wc -l)" -eq 3 ]
	[ "$(ledgerbox tail -n all --format payload)" = $'{"out":3}\n{"delta":4}\n{"by":5}' ]
	works ledgerbox verify
}

@test "the definition of a projection has the upcasters of its types in it, and no others" {
	upcasting
	cat >> ledger.yaml <<-'END'
	projections:
	  all: {database: all.db, schema: all.sql, apply: {moved: "insert into e values (:schema, :payload)"}}
	END
	echo 'create table e (schema, payload);' > all.sql
	works ledgerbox replay
	sed -i "s/^upcast: {/&other: {1: ':payload'}, /" ledger.yaml
	works ledgerbox replay
	sed -i "s/-(:payload/(:payload/" ledger.yaml
	fails 14 ledgerbox replay
	[[ "$stderr" == *"the definition of projection all has changed since it was built"*"replay all --rebuild"* ]]
	works ledgerbox replay --rebuild
	[ "$(sqlite3 all.db 'select payload from e limit 1')" = '{"by":3}' ]
	sed -i '/^upcast:/d' ledger.yaml
	fails 14 ledgerbox replay
	sed -i 's/apply: {moved:/apply: {"*":/' ledger.yaml
	works ledgerbox replay --rebuild
	echo "upcast: {anything: {1: ':payload'}}" >> ledger.yaml
	fails 14 ledgerbox replay
}

@test "an event that cannot be cast up is a failure of that event: what was before it is there" {
	upcasting
	malformed
	coprocess lines 'start: beginning, retries: 0' <<< 'answer() { echo "$line" >> lines.out; echo "ok $id"; }'
	cat >> ledger.yaml <<-'END'
	projections:
	  all: {database: all.db, schema: all.sql, apply: {moved: "insert into e values (:schema, :payload)"}}
	END
	echo 'create table e (schema, payload);' > all.sql
	fails 21 ledgerbox replay lines
	[[ "$stderr" == *"lines stopped before position 4 after 1 failure: upcast of moved from schema 1, at position 4:"* ]]
	[ "$(wc -l < lines.out)" -eq 3 ]
	[ "$(cursor lines)" -eq 3 ]
	fails 12 ledgerbox replay all
	[[ "$stderr" == *"projection all, apply moved, position 4: upcast of moved from schema 1"* ]]
	[ "$(sqlite3 all.db 'select count(*) from e')" -eq 3 ]
	for order in arrival shared; do
		fails 12 ledgerbox replay --stdout --order $order
		[ "${#lines[@]}" -eq 3 ]
		[[ "$stderr" == *"upcast of moved from schema 1, at position 4"* ]]
	done
}

@test "an event that cannot be cast up is parked as others are, and retried" {
	upcasting
	malformed
	handler picky 'start: beginning, retries: 0, park_after: 1' <<< 'echo "$LEDGER_EVENT_POSITION $(cat)" >> out'
	malformed
	malformed 2
	ledgerbox append -q -d inventory -t moved -s product/3 out:=1
	works ledgerbox replay
	[ "$(ledgerbox replay parked list --format json | jq -s -c 'map([.position, .failures])')" = '[[4,1],[5,0],[6,1]]' ]
	[ "$(cut -d ' ' -f 1 out | tr '\n' ' ')" = "1 2 3 7 " ]
	fails 21 ledgerbox replay parked retry picky
	[[ "$stderr" == *"failed again at position 4: upcast of moved"* ]]
	sed -i "s/, null)/, json_object('delta', 0))/" ledger.yaml
	works ledgerbox replay parked retry picky
	[ "$(tail -n 3 out | tr '\n' ' ')" = '4 {"by":0} 5 {"by":0} 6 {"by":0} ' ]
	[ -z "$(ledgerbox replay parked list)" ]
}

# --- status

@test "status tells who is new, idle, behind, stopped or stale" {
	handler count <<< true
	handler weak 'start: beginning, retries: 0' <<< '[ "$LEDGER_EVENT_POSITION" -ne 2 ] || { echo no >&2; exit 1; }'
	handler picky 'start: beginning, park_after: 1' <<< 'exit 1'
	stock
	states() {
		ledgerbox status --format json | jq -c '[.consumers[] | "\(.name) \(.state) \(.behind)"]'
	}
	events 3 1
	[ "$(states)" = '["stock new 3","picky new 3","weak new 3","count new 3"]' ]
	fails 21 ledgerbox replay
	[ "$(states)" = '["stock idle 0","picky idle 0","weak stopped 2","count idle 0"]' ]
	[ "$(ledgerbox status --format json | jq '.consumers[1].parked')" -eq 3 ]
	events 1
	sed -i 's/times + 1/times + 2/' ledger.yaml
	[ "$(states)" = '["stock refused 1","picky behind 1","weak stopped 3","count behind 1"]' ]
	works ledgerbox status
	[[ "$output" == *"weak"*"stopped"*"exit code 1: no"* ]]
	[[ "$output" == *"stock"*"refused"*"has changed since it was built"* ]]
}
