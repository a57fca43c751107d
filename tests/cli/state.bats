# state: what a stream's events come to.

load helper

prepare() {
	a_ledger
	cat >> ledger.yaml <<-'END'
		reducers:
		  product:
		    initial: '{"quantity":0}'
		    apply:
		      stock_counted: "json_set(:state, '$.quantity', :payload->>'$.quantity')"
		      stock_adjusted: "json_set(:state, '$.quantity', (:state->>'$.quantity') + (:payload->>'$.delta'))"
		upcast:
		  stock_adjusted: {1: "json_object('delta', :payload->'$.n')"}
	END
}

# put TYPE STREAM TIME PAYLOAD [OPTION …]
put() {
	ledgerbox append -d inventory -t "$1" -s "$2" --time "$3" --schema 2 "${@:5}" "$4" > /dev/null
}

a_story() {
	put stock_counted product/sku-1 2026-01-05T09:00:00Z '{"quantity":12}'
	put stock_adjusted product/sku-1 2026-01-07T09:00:00Z '{"delta":-2}'
	put stock_counted product/sku-2 2026-01-08T09:00:00Z '{"quantity":40}'
	put stock_adjusted product/sku-1 2026-01-06T09:00:00Z '{"delta":-1}'
}

hash_at() {
	ledgerbox show "$1" --format json | jq -r .hash
}

@test "the state is JSON on stdout; by which events it is so stands on stderr" {
	a_story
	works ledgerbox state product/sku-1
	[ "$output" = '{"quantity":9}' ]
	[ "$stderr" = "ledgerbox state: product/sku-1: 3 events, the last $(hash_at 4) at position 4" ]
	works ledgerbox state -q product/sku-1
	[ "$output" = '{"quantity":9}' ]
	[ -z "$stderr" ]
}

@test "as JSON it says all there is to say" {
	a_story
	works ledgerbox state product/sku-1 --format json
	[ -z "$stderr" ]
	[ "$(jq -c 'del(.last.clock, .reducer_hash)' <<< "$output")" = '{"stream":"product/sku-1","domain":"inventory","events":3,"version":3,"position":4,"last":{"position":4,"time":"2026-01-06T09:00:00.000000Z","hash":"'"$(hash_at 4)"'"},"reducer":"sql","folded":3,"state":{"quantity":9}}' ]
	ledgerbox snapshot take -q product/sku-1
	[ "$(ledgerbox state product/sku-1 --format json | jq -c '[.folded, .snapshot]')" = '[0,4]' ]
}

@test "without a config payloads are merged" {
	rm ledger.yaml
	put a thing/x 2026-01-05T09:00:00Z '{"a":{"b":1,"c":[1, 2]},"d":1}'
	put b thing/x 2026-01-05T09:00:00Z '{"a":{"b":null,"e":2},"d":null}'
	[ "$(ledgerbox state -q thing/x)" = '{"a":{"c":[1,2],"e":2}}' ]
}

@test "at a time, a version, a position, and as it was known" {
	a_story
	at() {
		ledgerbox state -q product/sku-1 "$@"
	}
	[ "$(at --at 2026-01-06T09:00:00Z)" = '{"quantity":11}' ]
	[ "$(at --at '2026-01-06 08:59' --utc)" = '{"quantity":12}' ]
	[ "$(at --at version=1)" = '{"quantity":12}' ]
	[ "$(at --at position=3)" = '{"quantity":10}' ]
	clock=$(ledgerbox show 2 --format json | jq -r .clock)
	[ "$(at --known-at "$clock")" = '{"quantity":10}' ]
	[ "$(at --known-at "$clock" --at 2026-01-06T12:00:00Z)" = '{"quantity":12}' ]
	fails 1 ledgerbox state product/sku-1 --at 2025-01-01T00:00:00Z
	[[ $stderr == *'product/sku-1 has no events then'* ]]
}

@test "a bare number is refused, and a date is its first instant and says so" {
	a_story
	for number in 3 2026 20260105; do
		fails 2 ledgerbox state product/sku-1 --at "$number"
		[[ $stderr == *"--at: '$number' is a bare number"*"version=$number, position=$number"* ]]
	done
	works ledgerbox state product/sku-1 --at 2026-01-07
	[ "$output" = '{"quantity":11}' ]
	[[ ${stderr_lines[0]} == *'--at 2026-01-07T00:00:00+00:00, the first instant of that day' ]]
	fails 2 ledgerbox state product/sku-1 --at version=0
	fails 2 ledgerbox state product/sku-1 --at version=x
	fails 2 ledgerbox state product/sku-1 --at position=
	fails 2 ledgerbox state product/sku-1 --at yesteryear
	fails 2 ledgerbox state product/sku-1 --known-at position=1
}

@test "all streams of a type, a line each; those that began later are left out" {
	a_story
	put other thing/x 2026-01-05T09:00:00Z '{"a":"\\"}'
	works ledgerbox state --all product/
	[ "$output" = $'product/sku-1  {"quantity":9}\nproduct/sku-2  {"quantity":40}' ]
	[ "$(ledgerbox state --all | wc -l)" -eq 3 ]
	[ "$(ledgerbox state --all product/ --at 2026-01-07T09:00:00Z)" = 'product/sku-1  {"quantity":9}' ]
	[ "$(ledgerbox state --all --format json | jq -c '[.stream, .state.quantity]' | head -n 2)" = $'["product/sku-1",9]\n["product/sku-2",40]' ]
	[ "$(ledgerbox state --all product/ --format tsv | cut -f 1-4,6 | head -n 1)" = $'product/sku-1\tinventory\t3\t3\t{"quantity":9}' ]
	[ "$(ledgerbox state --all thing/ --format tsv | cut -f 6)" = '{"a":"\\\\"}' ]
	fails 1 ledgerbox state --all order/
	fails 1 ledgerbox state --all -d sales
	fails 2 ledgerbox state --all product
	fails 2 ledgerbox state --all product/sku-1
}

@test "what has changed between two moments" {
	put a thing/x 2026-01-05T09:00:00Z '{"a":1,"b":{"c":[1,2],"d e":1},"gone":0}'
	put b thing/x 2026-01-06T09:00:00Z '{"a":2,"b":{"c":[1,3,4],"d e":2},"gone":null,"new":"x"}'
	works ledgerbox state -q thing/x --diff version=1 version=2
	[ "$output" = '$.a: 1 -> 2
$.b.c[1]: 2 -> 3
$.b.c[2]: (absent) -> 4
$.b."d e": 1 -> 2
$.gone: 0 -> (absent)
$.new: (absent) -> "x"' ]
	works ledgerbox state -q thing/x --diff version=2 now
	[ -z "$output" ]
	works ledgerbox state thing/x --diff 2026-01-01T00:00:00Z version=1 --format json
	[ "$(jq -c '[.from, .to.events, .changes]' <<< "$output")" = '[null,1,[{"path":"$","to":{"a":1,"b":{"c":[1,2],"d e":1},"gone":0}}]]' ]
	fails 1 ledgerbox state thing/x --diff 2025-01-01T00:00:00Z 2025-02-01T00:00:00Z
	fails 2 ledgerbox state thing/x --diff now
	fails 2 ledgerbox state thing/x --diff now now now
	fails 2 ledgerbox state thing/x --diff now now --at now
}

@test "a payload of an older schema is cast up, on the way out only" {
	printf '%s\n' '{"domain":"inventory","type":"stock_adjusted","stream":"product/sku-1","payload":{"n":7}}' | ledgerbox append > /dev/null
	[ "$(ledgerbox state -q product/sku-1)" = '{"quantity":7}' ]
	[ "$(ledgerbox tail --upcast --format payload)" = '{"delta":7}' ]
	[ "$(ledgerbox tail --upcast --format json | jq -c '[.schema, .payload]')" = '[2,{"delta":7}]' ]
	[ "$(ledgerbox tail --format payload)" = '{"n":7}' ]
	works ledgerbox verify -q
}

@test "a stream of two domains is asked for with one, or by the config" {
	put stock_counted product/sku-1 2026-01-05T09:00:00Z '{"quantity":12}'
	ledgerbox append -q -d sales -t stock_counted -s product/sku-1 quantity:=13
	fails 2 ledgerbox state product/sku-1
	[[ $stderr == *'is in domains inventory and sales'*'-d'* ]]
	[ "$(ledgerbox state -q product/sku-1 -d sales)" = '{"quantity":13}' ]
	printf 'stream_types: {product: {domain: inventory}}\n' >> ledger.yaml
	[ "$(ledgerbox state -q product/sku-1)" = '{"quantity":12}' ]
}

# reducer EXPRESSION: a config in which events of type x of streams p/… are folded by it
reducer() {
	jq -n --arg e "$1" '{reducers: {p: {initial: "{}", apply: {x: $e}}}}' > ledger.yaml
}

@test "reducer text that would reach out, never end or fill the memory is refused" {
	put x p/1 2026-01-05T09:00:00Z '{"a":1}'
	while IFS='|' read -r code expression word; do
		reducer "$expression"
		fails "$code" timeout 60 ledgerbox state p/1
		[ -z "$output" ]
		[[ $stderr == *"$word"* ]] || { echo "$expression: $stderr"; return 1; }
	done <<- 'END'
		2|(select count(*) from sqlite_schema)|table sqlite_schema
		2|readfile('/etc/passwd')|no such function
		2|load_extension('/tmp/x.so')|is refused here
		2|1); attach 'x.db' as y; select (1|not one SQL expression
		2|(select * from pragma_database_list)|is refused here
		2|random()|function random is refused here
		12|date('now')|is refused here
		2|(with recursive n(i) as (select 1 union all select i + 1 from n) select max(i) from n)|recursion
		12|(with a(x) as (select value from json_each('[1,2,3,4,5,6,7,8,9,0,1,2,3,4,5,6]')) select sum(a.x+b.x+c.x+d.x+e.x+f.x+g.x+h.x+i.x+j.x) from a, a b, a c, a d, a e, a f, a g, a h, a i, a j)|longer than 2 seconds
		12|hex(printf('%.*c', 1000000, 'x'))|more than 1024 KiB
		12|printf('%.*c', 1000000000, 'x')|NULL
		12|'text'|not JSON
		2|:sate|no parameter :sate
		2|:position|only a projection has :position
	END
	[ ! -e x.db ]
	works ledgerbox verify -q
}

@test "config check compiles reducers and upcasters" {
	works ledgerbox config check
	reducer 'json_set(:state'
	fails 2 ledgerbox config check
	[[ $stderr == *'ledger.yaml: reducer of p, x: '* ]]
	printf 'upcast: {a: {1: ":state"}}\n' > ledger.yaml
	fails 2 ledgerbox config check
	[[ $stderr == *'upcast of a from schema 1: only a reducer has :state'* ]]
}

@test "an event that was changed is not folded" {
	a_story
	sqlite3 ledger.db "drop trigger event_no_update; update event set payload = '{\"delta\":-9}' where position = 2"
	fails 3 ledgerbox state product/sku-1
	[ -z "$output" ]
	[[ $stderr == *'position 2'* ]]
	works ledgerbox state product/sku-2
}

@test "the policy of the config keeps a snapshot when so many events were folded" {
	printf 'stream_types: {product: {snapshot_every: 3}}\n' >> ledger.yaml
	put stock_counted product/sku-1 2026-01-05T09:00:00Z '{"quantity":12}'
	put stock_adjusted product/sku-1 2026-01-05T09:00:00Z '{"delta":-1}'
	ledgerbox state -q product/sku-1
	[ -z "$(ledgerbox snapshot list)" ]
	put stock_adjusted product/sku-1 2026-01-05T09:00:00Z '{"delta":-1}'
	ledgerbox state -q product/sku-1 --at now
	[ -z "$(ledgerbox snapshot list)" ]
	[ "$(ledgerbox state -q product/sku-1)" = '{"quantity":10}' ]
	[ "$(ledgerbox snapshot list --format json | jq -c '[.position, .verdict]')" = '[3,"good"]' ]
	[ "$(ledgerbox state product/sku-1 --format json | jq -c '[.folded, .state.quantity]')" = '[0,10]' ]
}

@test "who may only read gets the answer" {
	[ "$(id -u)" -ne 0 ] || skip "root may always write"
	printf 'stream_types: {product: {snapshot_every: 1}}\n' >> ledger.yaml
	a_story
	chmod a-w ledger.db* .
	works ledgerbox state -q product/sku-1
	[ "$output" = '{"quantity":9}' ]
	[ -z "$stderr" ]
}

@test "to a terminal the state is indented, and nothing can control it" {
	put a thing/x 2026-01-05T09:00:00Z "$(printf '{"a":"\xc2\x9b31m"}')"
	works script -qec 'ledgerbox state -q thing/x' /dev/null
	[ "${output//$'\r'/}" = $'{\n  "a": "\\xC2\\x9B31m"\n}' ]
}

@test "usage" {
	fails 2 ledgerbox state
	fails 2 ledgerbox state a/b c/d
	fails 12 ledgerbox state nonsense
	fails 1 ledgerbox state no/thing
	fails 2 ledgerbox state a/b --format payload
}
