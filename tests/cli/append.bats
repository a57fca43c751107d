load helper

prepare() {
	a_ledger
}

# All events, one column: column payload
column() {
	sqlite3 ledger.db "select ifnull($1, 'none') from events order by position"
}

events() {
	sqlite3 ledger.db 'select count(*) from event'
}

holds() {
	[ "$(events)" -eq "$1" ] || {
		echo "$(events) events instead of $1"
		return 1
	}
}

says() {
	case $stderr in
	*"$1"*) ;;
	*)
		echo "stderr does not say '$1': $stderr"
		return 1
		;;
	esac
}

# lines FIRST LAST: event lines whose payload is their number
lines() {
	seq "$1" "$2" | sed 's/.*/{"domain":"inventory","type":"counted","payload":&}/'
}

append_one() {
	ledgerbox append -d inventory -t stock_adjusted -s product/sku-1 "$@"
}

answered() {
	[ "$(wc -l < out)" -ge "$1" ]
}

# --- one event ------------------------------------------------------------------------------------

@test "an answer is position, sequence, version, id and hash, as recorded" {
	works append_one '{"delta":-2}'
	[[ $output =~ ^1\ 1\ 1\ [0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}\ [0-9a-f]{64}$ ]]
	[ "$output" = "$(sqlite3 -separator ' ' ledger.db 'select position, sequence, version, id, hash from events')" ]
	[ -z "$stderr" ]
}

@test "an event without a stream has version 0" {
	works ledgerbox append -d inventory -t counted '{}'
	[[ $output == "1 1 0 "* ]]
}

@test "the JSON answer has the same values and says repeated" {
	works append_one --once k --format json '{}'
	[[ $output =~ ^\{\"position\":1,\"sequence\":1,\"version\":1,\"id\":\"[0-9a-f-]{36}\",\"hash\":\"[0-9a-f]{64}\",\"repeated\":false\}$ ]]
	local first=$output
	works append_one --once k --format json '{}'
	[ "$output" = "${first/false/true}" ]
}

@test "-q records and prints nothing" {
	works append_one -q '{}'
	[ -z "$output$stderr" ]
	holds 1
}

@test "every form of operand is the payload it looks like" {
	printf ' {"from" : "file"}\n' > order.json
	append_one -q '{"a": 1.50, "a":"\u00e9" }'
	append_one -q @order.json
	echo '[1,2]' | append_one -q -
	append_one -q sku=sku-1 delta:=-2 'note=say "hi"'
	append_one -q -- -5
	append_one -q null
	append_one -q '"text"'
	[ "$(column payload)" = '{"a": 1.50, "a":"\u00e9" }
{"from" : "file"}
[1,2]
{"sku":"sku-1","delta":-2,"note":"say \"hi\""}
-5
null
"text"' ]
}

@test "with operands stdin is not touched" {
	printf '1\n2\n' | {
		append_one -q '{}'
		[ "$(cat)" = "1
2" ]
	}
}

@test "a raw line break between tokens becomes a space, and only that" {
	append_one -q $'\n{"a":\r\n1,\t"b":"x\\ny"}\n'
	[ "$(column payload)" = $'{"a":  1,\t"b":"x\\ny"}' ]
}

@test "operands that are no payload are refused" {
	fails 12 append_one hello
	says NAME=TEXT
	fails 12 append_one ''
	fails 12 append_one '{"a":'
	fails 12 append_one a=1 a=2
	fails 12 append_one a:=x
	fails 12 append_one @missing.json
	fails 12 append_one a=$'\xff'
	fails 2 append_one '{}' '{}'
	fails 2 append_one - a=1
	holds 0
}

@test "what is missing is named" {
	fails 12 ledgerbox append -t counted '{}'
	says domain
	fails 12 ledgerbox append -d inventory '{}'
	says type
	holds 0
}

@test "flags fill metadata, tags, schema and time" {
	append_one -q --meta actor=cron --meta 'n:={"x":1}' --correlation c1 --causation c0 --tag b:2 --tag a:1 --tag b:2 \
		--schema 3 --time '2026-11-20 17:30' '{}'
	[ "$(column metadata)" = '{"actor":"cron","n":{"x":1},"correlation_id":"c1","causation_id":"c0"}' ]
	[ "$(column tags)" = 'a:1 b:2' ]
	[ "$(column schema)" = 3 ]
	[ "$(column time)" = 2026-11-20T17:30:00.000000Z ]
	fails 12 append_one --meta actor=a --meta actor=b '{}'
	fails 12 append_one --meta correlation_id=a --correlation b '{}'
	fails 12 append_one --meta actor '{}'
	fails 12 append_one --tag 'a b' '{}'
	fails 12 append_one --time someday '{}'
	fails 12 append_one --schema 0 '{}'
	holds 1
}

@test "hostile names are refused" {
	fails 12 ledgerbox append -d inventory -t counted -s ../../x '{}'
	fails 12 ledgerbox append -d inventory -t counted -s $'product/a\nb' '{}'
	fails 12 ledgerbox append -d inventory -t counted -s "product/$(printf 'x%.0s' {1..300})" '{}'
	fails 12 ledgerbox append -d 'a b' -t counted '{}'
	fails 12 ledgerbox append -d '' -t counted '{}'
	fails 12 ledgerbox append -d ../x -t counted '{}'
	fails 12 ledgerbox append -d inventory -t 'a b' '{}'
	fails 12 ledgerbox append -d $'\e[31mred' -t counted '{}'
	[[ $stderr != *$'\e'* ]]
	holds 0
	append_one -q '{}'
	ledgerbox append -q -d inventory -t counted -s "product/../x" '{}'
	ledgerbox append -q -d inventory -t counted -s "product/$(printf 'x%.0s' {1..256})" '{}'
	holds 3
}

@test "reserved domains are refused" {
	fails 12 ledgerbox append -d _ledger -t counted '{}'
	says reserved
}

# --- ids ------------------------------------------------------------------------------------------

@test "a known id with the same content is answered again, with other content it is a conflict" {
	local id=0193466d-1f2e-7abc-8def-0123456789ab
	works append_one --id $id '{"a":1}'
	local first=$output
	works append_one --id ${id^^} '{"a":1}'
	[ "$output" = "$first" ]
	fails 10 append_one --id $id '{"a":2}'
	says $id
	fails 10 ledgerbox append -d inventory -t other -s product/sku-1 --id $id '{"a":1}'
	fails 10 append_one --id $id --time 2020-01-01 '{"a":1}'
	fails 12 append_one --id 17 '{}'
	fails 12 append_one --id '' '{}'
	holds 1
}

@test "--once records once per domain and key" {
	append_one -q --once order-1 '{}'
	append_one -q --once order-1 '{}'
	append_one -q --once order-2 '{}'
	ledgerbox append -q -d sales -t order_placed --once order-1 '{}'
	holds 3
	fails 10 append_one --once order-1 '{"other":1}'
	fails 2 append_one --once '' '{}'
	fails 2 append_one --once a --id 0193466d-1f2e-7abc-8def-0123456789ab '{}'
}

# --- conditions -----------------------------------------------------------------------------------

@test "--expect holds a version, none, exists and any" {
	fails 10 append_one --expect exists '{}'
	fails 10 append_one --expect 1 '{}'
	works append_one --expect none '{}'
	fails 10 append_one --expect none '{}'
	works append_one --expect 1 '{}'
	fails 10 append_one --expect 1 '{}'
	works append_one --expect exists '{}'
	works append_one --expect any '{}'
	fails 2 append_one --expect some '{}'
	fails 12 ledgerbox append -d inventory -t counted --expect none '{}'
	holds 4
}

@test "--fail-if looks for types and tags behind a position" {
	append_one -q --tag name:ada '{}'
	fails 10 append_one --fail-if tag=name:ada '{}'
	fails 10 append_one --fail-if type=x --fail-if type=stock_adjusted '{}'
	works append_one --fail-if 'type=stock_adjusted tag=name:bob' '{}'
	works append_one --fail-if tag=name:ada --after 1 '{}'
	fails 12 append_one --fail-if tag=name:ada --after 99 '{}'
	fails 12 append_one --fail-if 'colour=red' '{}'
	fails 2 append_one --after 1 '{}'
	holds 3
}

@test "--cursor moves in the same transaction or not at all" {
	append_one -q '{}'
	append_one -q --cursor invoices=1 '{}'
	[ "$(sqlite3 ledger.db 'select name, position from cursor')" = 'invoices|1' ]
	fails 10 append_one --cursor invoices=2 --expect none '{}'
	fails 12 append_one --cursor invoices=99 '{}'
	fails 2 append_one --cursor invoices '{}'
	fails 2 append_one --cursor invoices=x '{}'
	[ "$(sqlite3 ledger.db 'select name, position from cursor')" = 'invoices|1' ]
}

@test "what speaks of one event is a usage error with lines, before anything is read" {
	local flags
	for flags in '--expect none' '--fail-if type=x' '--fail-if type=x --after 0' '--cursor a=0' '--once k' \
		'--id 0193466d-1f2e-7abc-8def-0123456789ab'; do
		lines 1 3 > in
		{
			fails 2 append_one $flags
			[ "$(cat | wc -l)" -eq 3 ]
		} < in
		says --atomic
	done
	holds 0
}

# --- lines ----------------------------------------------------------------------------------------

@test "each line is an event, in order, answered in order" {
	lines 1 2500 > in
	works ledgerbox append < in
	[ "$(echo "$output" | wc -l)" -eq 2500 ]
	[ "$(echo "$output" | cut -d' ' -f1)" = "$(seq 2500)" ]
	[ "$(column payload)" = "$(seq 2500)" ]
	ledgerbox verify -q
}

@test "every key of a line is taken, and the line wins over the flags" {
	ledgerbox append -q -d shop -t noted --tag z:1 --meta actor=cron --meta n:=1 <<-'END'
	{"id":"0193466d-1f2e-7abc-8def-0123456789ab","domain":"inventory","type":"sold","stream":"product/sku-1","schema":2,"time":"2026-11-20T18:30:00+01:00","tags":["b:2"],"payload": [1 ,2],"metadata":{"actor":"me" }}
	{"payload":0}
	END
	[ "$(sqlite3 ledger.db 'select id, domain, type, stream, schema, time, tags, payload, metadata from events where position = 1')" = \
		'0193466d-1f2e-7abc-8def-0123456789ab|inventory|sold|product/sku-1|2|2026-11-20T17:30:00.000000Z|b:2 z:1|[1 ,2]|{"actor":"me" ,"n":1}' ]
	[ "$(sqlite3 ledger.db 'select domain, type, tags, metadata from events where position = 2')" = \
		'shop|noted|z:1|{"actor":"cron","n":1}' ]
}

@test "nothing on stdin records nothing" {
	works ledgerbox append < /dev/null
	[ -z "$output" ]
	printf '\n \n\r\n' > blank
	works ledgerbox append < blank
	holds 0
}

@test "a bad line is named, those before it are recorded and the way on is said" {
	local bad
	for bad in '{"typ":1}' '[]' 'x' '{"domain":"inventory","type":"counted"}' \
		'{"domain":"inventory","type":"counted","payload":1,"payload":2}' \
		'{"domain":"inventory","type":"counted","payload":{"a":1}' \
		'{"domain":"inventory","type":"counted","payload":1,"sequence":7}' \
		'{"domain":"no domain","type":"counted","payload":1}' \
		'{"domain":"inventory","type":"counted","payload":1,"tags":["x"]}' \
		'{"domain":"inventory","type":"counted","payload":1,"stream":"x"}' \
		'{"domain":"inventory","type":"counted","payload":1,"metadata":{"a":1,"a":2}}' \
		$'{"domain":"inventory","type":"counted","payload":"\xff"}' \
		$'\xef\xbb\xbf{"domain":"inventory","type":"counted","payload":1}'; do
		local before
		before=$(events)
		{
			lines 1 3
			echo
			lines 5 6
			printf '%s\n' "$bad"
			lines 8 9
		} > in
		fails 12 ledgerbox append < in
		says 'line 7: '
		says 'lines 1 to 6 are recorded'
		says 'tail -n +7'
		[ "$(echo "$output" | wc -l)" -eq 5 ]
		holds $((before + 5))
	done
	ledgerbox verify -q
}

@test "a bad first line says that nothing is recorded" {
	echo '{' > in
	lines 2 3 >> in
	fails 12 ledgerbox append < in
	says 'line 1: '
	says 'nothing is recorded'
	holds 0
}

@test "a bad line behind full batches is named by its own number" {
	lines 1 25 > in
	echo nonsense >> in
	fails 12 ledgerbox append --batch 10 < in
	says 'line 26: '
	says 'lines 1 to 25 are recorded'
	holds 25
}

@test "an id with other content in the middle of a batch stops there" {
	append_one -q --id 0193466d-1f2e-7abc-8def-0123456789ab '{}'
	{
		lines 1 2
		echo '{"id":"0193466d-1f2e-7abc-8def-0123456789ab","domain":"inventory","type":"counted","payload":9}'
		lines 4 5
	} > in
	fails 10 ledgerbox append < in
	says 'line 3: '
	says 'lines 1 to 2 are recorded'
	[ "$(echo "$output" | wc -l)" -eq 2 ]
	holds 3
	ledgerbox verify -q
}

@test "a last line without newline counts if it is whole, half a line is refused" {
	printf '%s' "$(lines 1 2)" > in
	works ledgerbox append < in
	holds 2
	head -c -5 in > half
	fails 12 ledgerbox append < half
	says 'line 2'
	holds 3
}

@test "NUL bytes are refused" {
	printf '{"domain":"inventory","type":"counted","payload":"a\0b"}\n' > in
	fails 12 ledgerbox append < in
	printf '\0\n' > in
	fails 12 ledgerbox append < in
	holds 0
}

@test "a line of 100 MB is refused in little memory" {
	lines 1 1 > in
	head -c 100M /dev/zero | tr '\0' x >> in
	fails 12 ledgerbox append < in
	says 'line 2: longer than 640 KiB'
	says 'lines 1 to 1 are recorded'
	holds 1
}

@test "a payload of 512 KiB is taken, a byte more is not" {
	printf '"%s"' "$(head -c $((512 * 1024 - 2)) /dev/zero | tr '\0' x)" > fits
	works append_one @fits
	printf '"%s"' "$(head -c $((512 * 1024 - 1)) /dev/zero | tr '\0' x)" > over
	fails 12 append_one @over
	head -c 5M /dev/zero | tr '\0' x > huge
	fails 12 append_one @huge
	holds 1
}

@test "a line is answered before the next one comes" {
	mkfifo in
	ledgerbox append < in > out 2> err &
	local child=$!
	exec 8> in
	lines 1 1 >&8
	until_true test -s out
	holds 1
	lines 2 2 | head -c 20 >&8
	lines 2 2 | tail -c +21 >&8
	until_true answered 2
	exec 8>&-
	wait $child
	[ "$(wc -l < out)" -eq 2 ]
	[ ! -s err ]
}

@test "killed while lines come, what was answered is there" {
	mkfifo in
	ledgerbox append < in > out &
	local child=$!
	exec 8> in
	lines 1 300 >&8
	until_true test -s out
	kill -9 $child
	wait $child || true
	exec 8>&-
	[ "$(events)" -ge "$(wc -l < out)" ]
	ledgerbox verify -q
}

@test "stdin closed is an error, not nothing to do" {
	fails 23 sh -c 'ledgerbox append <&-'
	holds 0
}

@test "a folder as stdin is an error" {
	fails 23 ledgerbox append < .
}

@test "--batch has bounds" {
	fails 2 ledgerbox append --batch 0 < /dev/null
	fails 2 ledgerbox append --batch 100001 < /dev/null
}

# --- answers that cannot be printed ---------------------------------------------------------------

@test "stdout full: the commit stands, reading stops, 31 with the last position" {
	lines 1 50 > in
	run --separate-stderr sh -c 'ledgerbox append --batch 10 < in > /dev/full'
	[ "$status" -eq 31 ]
	says 'recorded up to position 10'
	says 'lines 1 to 10 are recorded'
	holds 10
	ledgerbox verify -q
}

@test "stdout without a reader: the same" {
	lines 1 50 > in
	mkfifo out
	exec 7<> out
	exec 8> out
	exec 7<&-
	run --separate-stderr sh -c 'ledgerbox append --batch 10 < in >&8'
	exec 8>&-
	[ "$status" -eq 31 ]
	says 'recorded up to position 10'
	holds 10
}

@test "one event with stdout full is recorded and 31" {
	run --separate-stderr sh -c "ledgerbox append -d inventory -t counted '{}' > /dev/full"
	[ "$status" -eq 31 ]
	says 'position 1'
	holds 1
}

@test "-q does not need stdout" {
	ledgerbox append -q -d inventory -t counted '{}' > /dev/full
	holds 1
}

# --- atomic ---------------------------------------------------------------------------------------

@test "--atomic records all lines in one transaction" {
	lines 1 3000 > in
	works ledgerbox append --atomic --batch 10 < in
	[ "$(echo "$output" | wc -l)" -eq 3000 ]
	[ "$(column payload)" = "$(seq 3000)" ]
	[ -z "$(find . -name 'ledgerbox.*' -newer in)" ]
}

@test "--atomic with one bad line records nothing and names it" {
	{
		lines 1 2000
		echo
		echo '{"domain":"inventory","type":"counted","payload":1,"tags":["x"]}'
	} > in
	fails 12 ledgerbox append --atomic < in
	says 'line 2002: '
	says 'nothing is recorded'
	[ -z "$output" ]
	holds 0
}

@test "--atomic with a conflict in its last line records nothing" {
	append_one -q --id 0193466d-1f2e-7abc-8def-0123456789ab '{}'
	{
		lines 1 2
		printf '\n\n'
		echo '{"id":"0193466d-1f2e-7abc-8def-0123456789ab","domain":"inventory","type":"counted","payload":9}'
	} > in
	fails 10 ledgerbox append --atomic < in
	says 'line 5: '
	says 'nothing is recorded'
	[ -z "$output" ]
	holds 1
}

@test "--atomic --once can be repeated as a whole" {
	lines 1 3 > in
	works ledgerbox append --atomic --once batch-1 --fail-if type=counted < in
	local first=$output
	works ledgerbox append --atomic --once batch-1 --fail-if type=counted < in
	[ "$output" = "$first" ]
	holds 3
	lines 1 1 > in
	works ledgerbox append -d inventory -t counted --once batch-1 1
	[ "$output" = "$(echo "$first" | head -1)" ]
	holds 3
}

@test "--atomic --expect asks once, about one stream" {
	lines 1 3 | sed 's/"type"/"stream":"product\/a",&/' > in
	works ledgerbox append --atomic --expect none < in
	fails 10 ledgerbox append --atomic --expect none < in
	works ledgerbox append --atomic --expect 3 < in
	holds 6
	lines 4 4 | sed 's/"type"/"stream":"product\/b",&/' >> in
	fails 12 ledgerbox append --atomic --expect exists < in
	says 'line 4: '
	holds 6
}

@test "--atomic --id takes one line" {
	lines 1 1 > in
	works ledgerbox append --atomic --id 0193466d-1f2e-7abc-8def-0123456789ab < in
	lines 1 2 > in
	fails 2 ledgerbox append --atomic --id 0193466d-1f2e-7abc-8def-0123456789ac < in
	holds 1
}

@test "--atomic says where it cannot keep the lines" {
	lines 1 3 > in
	TMPDIR=/no/such/folder fails 23 ledgerbox append --atomic < in
	says /no/such/folder
	holds 0
}

@test "--atomic with stdout full is recorded whole, and 31" {
	lines 1 50 > in
	run --separate-stderr sh -c 'ledgerbox append --atomic < in > /dev/full'
	[ "$status" -eq 31 ]
	says 'position 50'
	says 'all lines are recorded'
	holds 50
}

# --- dry run --------------------------------------------------------------------------------------

@test "--dry-run answers as the real run would and records nothing" {
	append_one -q '{}'
	works append_one --dry-run '{}'
	[[ $output == "2 2 2 "* ]]
	says 'nothing is recorded'
	holds 1
	lines 1 1500 > in
	works ledgerbox append --dry-run < in
	[ "$(echo "$output" | cut -d' ' -f1)" = "$(seq 2 1501)" ]
	holds 1
}

@test "--dry-run ends with the codes of the real run" {
	fails 10 append_one --dry-run --expect exists '{}'
	fails 12 append_one --dry-run --tag x '{}'
	fails 2 append_one --dry-run --after 1 '{}'
	{
		lines 1 2
		echo bad
	} > in
	fails 12 ledgerbox append --dry-run < in
	says 'line 3: '
	says 'nothing is recorded'
	holds 0
}

# --- the config -----------------------------------------------------------------------------------

with_domains() {
	cat >> ledger.yaml <<-'END'
	domains:
	  inventory:
	    tags_from: {product: $.product_id, actor: metadata.$.actor}
	  sales: {}
	stream_types:
	  product: {domain: inventory}
	END
}

@test "tags are taken from payload and metadata" {
	with_domains
	append_one -q product_id=sku-1
	append_one -q --tag x:y --meta actor=me 'product_id:=[17,"b",17]'
	append_one -q other=1
	[ "$(column tags)" = 'product:sku-1
actor:me product:17 product:b x:y
none' ]
	fails 12 append_one 'product_id:=null'
	says '$.product_id'
	fails 12 append_one 'product_id=a b'
	fails 12 append_one 'product_id:=1.5'
	echo '{"domain":"inventory","type":"counted","payload":{"product_id":{}}}' > in
	fails 12 ledgerbox append < in
	says 'line 1: '
	says '$.product_id'
	holds 3
}

@test "the domain comes from the stream's type where nothing else says it" {
	with_domains
	ledgerbox append -q -t sold -s product/sku-1 '{}'
	echo '{"type":"sold","stream":"product/sku-1","payload":1}' | ledgerbox append -q
	ledgerbox append -q -d sales -t sold -s product/sku-1 '{}'
	[ "$(column domain)" = "inventory
inventory
sales" ]
	fails 12 ledgerbox append -t sold -s order/1 '{}'
	says domain
}

@test "a domain that is not listed is refused with a suggestion, unless any is" {
	with_domains
	fails 12 ledgerbox append -d inventroy -t counted '{}'
	says inventory
	sed -i 's/^  sales: {}/  "*": {}/' ledger.yaml
	works ledgerbox append -d inventroy -t counted '{}'
	holds 1
}

# --- others ---------------------------------------------------------------------------------------

@test "twenty appenders at once: no gap, no duplicate, no lost answer" {
	local i
	for i in $(seq 20); do
		for _ in 1 2 3 4 5; do
			append_one --timeout 30s "n:=$i"
		done > "out.$i" 2> "err.$i" &
	done
	wait
	[ "$(cat err.* | wc -c)" -eq 0 ]
	[ "$(cat out.* | cut -d' ' -f1 | sort -n)" = "$(seq 100)" ]
	[ "$(cat out.* | cut -d' ' -f3 | sort -n)" = "$(seq 100)" ]
	holds 100
	ledgerbox verify -q
}

@test "who may not write in time says busy" {
	append_one -q '{}'
	mkfifo go
	sqlite3 ledger.db < go > locked &
	local child=$!
	exec 8> go
	printf 'begin immediate;\nselect 1;\n' >&8
	until_true test -s locked
	fails 20 append_one --timeout 50ms '{}'
	lines 1 3 > in
	fails 20 ledgerbox append --timeout 50ms < in
	says 'nothing is recorded'
	exec 8>&-
	wait $child
	works append_one '{}'
	holds 2
}

@test "a full disk is named, and the ledger stays sound" {
	[ "$(id -u)" -eq 0 ] || skip 'needs root to mount a small disk'
	mkdir small
	mount -t tmpfs -o size=2M none small 2> /dev/null || skip 'cannot mount'
	ledgerbox init -q --node b --database small/ledger.db --config small/ledger.yaml --key-file small.key || {
		umount small
		false
	}
	seq 2000 | sed "s/.*/{\"domain\":\"a\",\"type\":\"b\",\"payload\":\"$(head -c 4000 /dev/zero | tr '\0' x)\"}/" > in
	run --separate-stderr ledgerbox append --config small/ledger.yaml < in
	local code=$status answered
	answered=$(printf '%s' "$output" | grep -c ' ' || true)
	ledgerbox verify -q --config small/ledger.yaml
	local kept
	kept=$(sqlite3 small/ledger.db 'select count(*) from event')
	umount small
	[ "$code" -eq 24 ]
	[ "$kept" -ge "$answered" ]
}

@test "a NUL in a name is shown, not the end of it" {
	echo '{"domain":"a\u0000b","type":"t","payload":1}' > line
	fails 12 sh -c 'ledgerbox append < line'
	[[ $stderr == *"domain 'a\\0b' is not a token"* ]]
	echo '{"domain":"a","type":"t\u0000","payload":1}' > line
	fails 12 sh -c 'ledgerbox append < line'
	[[ $stderr == *"event type 't\\0' is not valid"* ]]
}

@test "where stdout is closed the cause is told once" {
	run --separate-stderr bash -c 'exec ledgerbox append -d inventory -t t 1 >&-'
	[ "$status" -eq 31 ]
	[ "$(grep -c 'stdout is closed' <<< "$stderr")" -eq 1 ]
	[[ $stderr == *"recorded up to position"* ]]
}
