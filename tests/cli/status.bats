load helper

prepare() {
	a_ledger
}

# An expression of Python over the object in $output.
jq_py() {
	python3 -c 'import json, sys; r = json.loads(sys.argv[2]); print(eval(sys.argv[1]))' "$1" "$output"
}

# Runs a command for which the modes of files hold, as they do not for root.
as_a_reader() {
	if [ "$(id -u)" -eq 0 ]; then
		setpriv --bounding-set=-all --inh-caps=-all "$@"
	else
		"$@"
	fi
}

@test "an empty ledger has a status" {
	works ledgerbox status
	[[ $output == *"node         store-a, epoch "* ]]
	[[ $output == *"events       0"* ]]
	[[ $output == *"last verify  none known here"* ]]
	works ledgerbox status --heads
	[ -z "$output" ]
	works ledgerbox status --format json
	[ "$(jq_py 'r["events"], r["chains"], r["cursors"], "last_time" in r, r["home"]')" = "(0, [], [], False, True)" ]
}

@test "text shows chains, cursors and the last verify" {
	a_few 3
	ledgerbox cursor set mailer 1
	ledgerbox verify -q
	works ledgerbox status
	# How long ago is for the machine to say: on a busy one a second or more has passed.
	grep -Eq '^events       3, the newest recorded [0-9]+ s ago, 1 origin, 1 domain, 1 chain, 1 stream, 1 type$' <<< "$output"
	grep -Eq '^last verify  all well, up to position 3, [0-9]+ s ago$' <<< "$output"
	grep -Eq '^store-a +[0-9]{16}  inventory +3  [0-9a-f]{12}  ' <<< "$output"
	grep -Eq '^mailer +1 +2  20' <<< "$output"
}

@test "a last verify that cannot be read is not left out in silence" {
	a_few 3
	ledgerbox verify -q
	local file
	file=$(ls "$XDG_STATE_HOME"/ledgerbox/*.verified)
	rm "$file"
	mkdir "$file"
	works ledgerbox status
	[[ $output == *"last verify  none known here"* ]]
	[[ $stderr == *"cannot read what the last verify left: cannot read "*".verified: Is a directory"* ]]
}

@test "JSON has what text shows" {
	a_few 3
	ledgerbox cursor set mailer 1
	ledgerbox verify -q
	works ledgerbox status --format json
	[ "$(jq_py 'r["file"], r["node"], r["events"], r["streams"], r["types"], r["domains"], r["origins"]')" = "('ledger.db', 'store-a', 3, 1, 1, 1, 1)" ]
	[ "$(jq_py '[(c["origin"], c["domain"], c["sequence"], c["position"], len(c["hash"])) for c in r["chains"]]')" = "[('store-a', 'inventory', 3, 3, 64)]" ]
	[ "$(jq_py '[(c["name"], c["position"], c["lag"]) for c in r["cursors"]]')" = "[('mailer', 1, 2)]" ]
	[ "$(jq_py 'r["last_verify"]["ok"], r["last_verify"]["position"], r["file_bytes"] > 0, r["free_bytes"] > 0')" = "(True, 3, True, True)" ]
}

@test "heads are the last events of the chains" {
	a_few 3
	ledgerbox append -q -d orders -t t '{}' > /dev/null
	works ledgerbox status --heads
	[ "${#lines[@]}" -eq 2 ]
	local epoch hash
	epoch=$(sqlite3 ledger.db 'select epoch from seal')
	hash=$(sqlite3 ledger.db 'select lower(hex(hash)) from event where position = 3')
	[ "${lines[0]}" = "store-a $epoch inventory 3 $hash" ]
	works ledgerbox status --heads --format json
	[ "${lines[0]}" = "{\"origin\":\"store-a\",\"epoch\":$epoch,\"domain\":\"inventory\",\"sequence\":3,\"hash\":\"$hash\"}" ]
	works ledgerbox status --heads -o heads
	[ -z "$output" ]
	[ "$(wc -l < heads)" -eq 2 ]
}

@test "a copied ledger says so, and shows the rest" {
	a_few 3
	sqlite3 ledger.db 'pragma wal_checkpoint(truncate)' > /dev/null
	cp ledger.db copy.db
	works ledgerbox status --database copy.db
	grep -q '^home  .*copied' <<< "$output"
	works ledgerbox status --database copy.db --format json
	[ "$(jq_py 'r["home"], "copied" in r["home_text"]')" = "(False, True)" ]
	works ledgerbox status --database copy.db --heads
	[[ $stderr == *copied* ]]
	works ledgerbox status --database copy.db --format prometheus
	grep -q '^ledgerbox_home{.*} 0$' <<< "$output"
	fails 2 ledgerbox status --database copy.db --check
	[[ $output == "LEDGERBOX CRITICAL - home: "*copied*" | events=3 "* ]]
}

@test "prometheus text is well formed" {
	a_few 3
	ledgerbox append -q -d orders -t t '{}' > /dev/null
	ledgerbox cursor set mailer 1
	ledgerbox verify -q
	works ledgerbox status --format prometheus -o ledgerbox.prom
	[ -z "$output" ]
	python3 - <<-'END'
	import re
	seen, family = set(), None
	label = r'[a-z_]+="(?:[^"\\\n]|\\["\\n])*"'
	for line in open("ledgerbox.prom", newline="\n"):
	    assert line.endswith("\n")
	    line = line[:-1]
	    if line.startswith("# HELP "):
	        family = line.split()[2]
	        assert family not in seen, family
	        seen.add(family)
	    elif line.startswith("# TYPE "):
	        assert line == f"# TYPE {family} gauge", line
	    else:
	        assert re.fullmatch(family + r"\{" + label + "(," + label + r")*\} [0-9]+(\.[0-9]+)?", line), line
	for name in "events chains file_bytes home verify_ok chain_sequence cursor_lag_events newest_event_seconds".split():
	    assert "ledgerbox_" + name in seen, name
	END
	grep -q '^ledgerbox_chain_sequence{file="ledger.db",node="store-a",origin="store-a",epoch="[0-9]*",domain="inventory"} 3$' ledgerbox.prom
	grep -q '^ledgerbox_cursor_lag_events{file="ledger.db",node="store-a",cursor="mailer"} 3$' ledgerbox.prom
}

@test "a label with quotes, backslashes and newlines stays one" {
	local name=$'a"b\\c\nd.db'
	mkdir odd
	ledgerbox init --node store-o --database "odd/$name" --config odd/o.yaml --key-file odd/o.key -q || skip "no such names"
	works ledgerbox status --database "odd/$name" --format prometheus
	grep -qF 'ledgerbox_events{file="odd/a\"b\\c\\x0Ad.db",node="store-o"} 0' <<< "$output" ||
		grep -qiF 'ledgerbox_events{file="odd/a\"b\\c\\x0ad.db",node="store-o"} 0' <<< "$output"
	[ "$(grep -c '^d.db' <<< "$output")" -eq 0 ]
}

@test "--check is one line with figures, and its own exit codes" {
	a_few 3
	works ledgerbox status --check
	[[ $output == "LEDGERBOX OK - 3 events in 1 chain | events=3 chains=1 "* ]]
	[ "${#lines[@]}" -eq 1 ]
	works ledgerbox status --check --crit free_bytes=1 --warn file_bytes=1TiB
	[[ $output == *" free_bytes="*"B;;1:"* ]]
	[[ $output == *" file_bytes="*"B;1099511627775;"* ]]
}

@test "limits are judged, critical before warning" {
	a_few 3
	ledgerbox cursor set mailer 1
	local code args
	while read -r code args; do
		run --separate-stderr ledgerbox status --check $args
		[ "$status" -eq "$code" ] || { echo "$args: $status instead of $code: $output$stderr"; return 1; }
	done <<-'END'
	0 --warn cursor_lag=3
	1 --warn cursor_lag=2
	2 --warn cursor_lag=1 --crit cursor_lag=2
	1 --warn cursor_lag=1 --crit cursor_lag=3
	2 --crit file_bytes=1KiB
	0 --crit file_bytes=1GiB
	2 --crit free_bytes=9999TiB
	0 --crit free_bytes=1
	0 --warn last_event_age=1h
	1 --warn last_event_age=0
	1 --warn verify_age=1d
	0 --warn wal_bytes=1GiB
	3 --warn nothing=1
	3 --warn home=1
	3 --warn file_bytes
	3 --warn file_bytes=x
	3 --warn file_bytes=1XiB
	3 --warn file_bytes=99999999999999999999
	3 --warn file_bytes=99999999999TiB
	3 --warn verify_age=1fortnight
	3 --warn verify_age=
	3 --warn file_bytes=1 --warn file_bytes=2
	END
	ledgerbox verify -q
	works ledgerbox status --check --warn verify_age=1d
}

@test "a verify that found damage is critical" {
	a_few 3
	sqlite3 ledger.db "drop trigger event_no_update; update event set payload = '{}' where position = 2"
	run ledgerbox verify
	[ "$status" -eq 3 ]
	fails 2 ledgerbox status --check
	[[ $output == "LEDGERBOX CRITICAL - "*"the last verify found damage"* ]]
}

@test "what cannot be looked at is unknown" {
	echo "some text that is no database, of more than a few bytes" > text.db
	fails 3 ledgerbox status --check --database text.db
	[[ $output == "LEDGERBOX UNKNOWN - "* ]]
	[ "${#lines[@]}" -eq 1 ]
	fails 3 ledgerbox status --check --database not-there.db
	fails 3 ledgerbox status --check --config not-there.yaml
	[[ $output == "LEDGERBOX UNKNOWN - "* ]]
	echo 'databse: x' > bad.yaml
	fails 3 ledgerbox status --check --config bad.yaml
	fails 3 ledgerbox status --check --database 'a|b.db'
	[ "$(tr -cd '|' <<< "$output")" = "" ]
	fails 13 ledgerbox status --database text.db
	[ -z "$output" ]
}

@test "--check writes its line with -o, whatever it says" {
	a_few 3
	fails 2 ledgerbox status --check --crit file_bytes=1 -o line
	[ -z "$output" ]
	grep -q '^LEDGERBOX CRITICAL - file_bytes ' line
}

@test "options that do not fit are refused" {
	fails 2 ledgerbox status --warn file_bytes=1
	fails 2 ledgerbox status --heads --check
	fails 2 ledgerbox status --heads --format prometheus
	fails 2 ledgerbox status --check --format json
	fails 2 ledgerbox status something
}

@test "stdout closed or full" {
	a_few 3
	works bash -c 'set -o pipefail; ledgerbox status | true'
	fails 24 bash -c 'ledgerbox status > /dev/full'
	fails 3 bash -c 'ledgerbox status --check > /dev/full'
}

@test "reading needs no key, and no right to write" {
	a_few 3
	sqlite3 ledger.db 'pragma wal_checkpoint(truncate)' > /dev/null
	mkdir ro
	cp ledger.db ro/
	chmod 444 ro/ledger.db
	chmod 555 ro
	mv ledger.key away.key
	works as_a_reader ledgerbox status --database ro/ledger.db
	[[ $output == *"events       3"* ]]
	[ "$(ls ro)" = ledger.db ]
}

@test "heads that cannot be named are not passed over in silence" {
	a_few 2
	ledgerbox append -q -d other -t t 1
	sqlite3 ledger.db "drop trigger $(sqlite3 ledger.db "select name from sqlite_schema where type = 'trigger' and tbl_name = 'domain' and sql like '%update%' collate nocase limit 1"); update domain set name = 'a b' where name = 'other'"
	fails 3 ledgerbox status --heads
	[[ $output == *" inventory 2 "* && $output != *"a b"* ]]
	[[ $stderr == *"1 chain is not listed"*"ledgerbox verify"* ]]
}

# --- Among others; with real servers in tests/sync

with_a_cluster() {
	cat > nodes.yaml <<- 'END'
		node: store-a
		database: ledger.db
		keys: {sign: ledger.key}
		clusters: {shop: {urls: ["nats://127.0.0.1:9"]}}
		domains: {inventory: {propagate: true, subscribe: true}, secret: {}}
	END
}

@test "a ledger that is alone has nothing to say of others" {
	a_few 3
	works ledgerbox status
	[[ $output != *sync* && $output != *lag* ]]
	works ledgerbox status --format json
	[ "$(jq_py '"sync" in r, r["wrong"], r["gaps"]')" = "(False, [], [])" ]
	works ledgerbox status --format prometheus
	[[ $output != *unpublished* && $output != *sync_running* ]]
	works ledgerbox status --check
	[[ $output != *unpublished* && $output != *peer* ]]
}

@test "a daemon that does not run is said, with what waits and what to type" {
	a_few 3
	ledgerbox append -q -d secret -t t 1
	with_a_cluster
	works ledgerbox status --config nodes.yaml
	[[ $output == *$'\nsync         serve-sync does not run\nlag          3 events wait to be published, 0 '* ]]
	[[ $output == *$'\ndaemon       serve-sync does not run; 3 events wait to be published'*$'\n             -> systemctl start '* ]]
	works ledgerbox status --config nodes.yaml --format json
	[ "$(jq_py 'r["sync"]["daemon"], r["sync"]["unpublished"], [w["what"] for w in r["wrong"]]')" = "('stopped', 3, ['daemon'])" ]
	works ledgerbox status --config nodes.yaml --format prometheus
	grep -q '^ledgerbox_sync_running{.*} 0$' <<< "$output"
	grep -q '^ledgerbox_unpublished_events{.*} 3$' <<< "$output"
	local code args
	while read -r code args; do
		run --separate-stderr ledgerbox status --config nodes.yaml --check $args
		[ "$status" -eq "$code" ] || { echo "$args: $status instead of $code: $output$stderr"; return 1; }
	done <<-'END'
	0
	0 --crit unpublished=4
	2 --crit unpublished=3
	1 --warn daemon_down=1
	2 --crit daemon_age=1m
	2 --crit peer_age=1h
	2 --crit peers_heard=1
	2 --crit clusters_down=1
	2 --crit streams_unusable=1
	0 --crit gaps=1 --crit missing=1 --crit too_large=1
	END
}

@test "what --once left is no alarm, and what is garbled says nothing" {
	a_few 3
	with_a_cluster
	fails 21 ledgerbox serve-sync --config nodes.yaml --once --within 300ms
	works ledgerbox status --config nodes.yaml
	[[ $output == *'serve-sync does not run, --once ended '* && $output != *'->'* ]]
	local left
	left=$(ls "$XDG_STATE_HOME"/ledgerbox/*.sync)
	for text in '' '[]' '{"clusters":7,"streams":[1,{}],"too_large":[null]}' '{"written":"x' '{"clusters":[[],{"name":"\u001b[2J"}],"too_many":[{}]}'; do
		echo "$text" > "$left"
		works ledgerbox status --config nodes.yaml
		[[ $output != *$'\e'* ]]
		works ledgerbox status --config nodes.yaml --format json
		[ "$(jq_py 'r["sync"]["unpublished"]')" = 3 ]
		works ledgerbox status --config nodes.yaml --format prometheus
	done
	head -c 2000000 /dev/zero > "$left"
	works ledgerbox status --config nodes.yaml
	[[ $output == *"not known: "*"is larger than 1048576 bytes"* ]]
}

@test "handlers and projections are in every form, and in --check" {
	a_few 3
	cat >> ledger.yaml <<-'END'
	handlers:
	  weak: {domain: inventory, exec: [/bin/false], mode: each, start: beginning, retries: 0}
	  picky: {domain: inventory, exec: [/bin/false], mode: each, start: beginning, retries: 0, park_after: 1}
	END
	works ledgerbox status --check --crit consumers_stopped=1 --warn consumer_lag=4
	run ledgerbox replay -q
	works ledgerbox status
	[[ $output == *'consumer     handler weak stopped after position 0: '*'-> ledgerbox replay weak'* ]]
	[[ $output == *'parked       3 events of handler picky are parked'*'-> ledgerbox replay parked list picky'* ]]
	works ledgerbox status --format prometheus
	grep -q '^ledgerbox_consumer_ok{.*,consumer="weak",kind="handler"} 0$' <<< "$output"
	grep -q '^ledgerbox_consumer_behind_events{.*,consumer="weak",kind="handler"} 3$' <<< "$output"
	grep -q '^ledgerbox_consumer_parked{.*,consumer="picky",kind="handler"} 3$' <<< "$output"
	fails 2 ledgerbox status --check --crit consumers_stopped=1
	[[ $output == "LEDGERBOX CRITICAL - consumers_stopped 1 | "*" consumer_lag=3;; consumers_stopped=1;;0 parked=3;;"* ]]
	fails 1 ledgerbox status --check --warn parked=3
	fails 1 ledgerbox status --check --warn consumer_lag=3
}

@test "a restored copy leads to recover" {
	a_few 3
	sqlite3 ledger.db 'pragma wal_checkpoint(truncate)' > /dev/null
	cp ledger.db copy.db
	works ledgerbox status --database copy.db
	[[ $output == *'-> ledgerbox recover --dry-run, then ledgerbox recover'* ]]
}
