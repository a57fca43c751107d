# send, where the stream is this node's: no network is needed.

load helper

prepare() {
	a_ledger
}

# a_config [MORE]: a command `price` of streams product/…, executed by ./handler; MORE goes behind it.
a_config() {
	cat >> ledger.yaml << EOC
stream_types: {product: {domain: inventory}}
commands:
  - {stream_type: product, command: price, exec: [./handler]${1:+, $1}}
EOC
}

# a_handler: what stands on stdin is the program.
a_handler() {
	{
		echo '#!/bin/bash'
		cat
	} > handler
	chmod 755 handler
}

# One that does as it should.
a_pricer() {
	a_handler << 'EOC'
read -r line
echo x >> runs
jq -c '{type: "priced", payload: {price: .payload.price, version: .version, state: .state}}' <<< "$line"
echo '{"result":{"fine":true}}'
EOC
}

events() {
	ledgerbox tail -n all --format json --domain inventory | wc -l
}

@test "a command is executed by its handler, which gets version and state; events and result come back" {
	a_config 'state: true'
	a_pricer
	works ledgerbox send product/sku-1 price price:=9 --format json
	[ "$(jq -c '[.status, .exit, .node, .result, (.events | length), .events[0].version]' <<< "$output")" = '["ok",0,"store-a",{"fine":true},1,1]' ]
	works ledgerbox send product/sku-1 price price:=10
	[[ ${lines[0]} =~ ' executed by store-a, 1 event'$ ]]
	[ "${lines[1]}" = '{"fine":true}' ]
	works ledgerbox tail -n all --format payload
	[ "${lines[0]}" = '{"price":9,"version":0,"state":null}' ]
	[ "${lines[1]}" = '{"price":10,"version":1,"state":{"price":9,"version":0}}' ]
	works ledgerbox verify
}

@test "sent twice it is executed once, and the same answer comes back; other content with that id is refused" {
	a_config
	a_pricer
	works ledgerbox send --once order-1 product/sku-1 price price:=9 --format json
	first=$output
	works ledgerbox send --once order-1 product/sku-1 price price:=9 --format json
	[ "$(jq -c 'del(.repeated)' <<< "$output")" = "$first" ]
	[ "$(jq .repeated <<< "$output")" = true ]
	[ "$(events)" -eq 1 ]
	[ "$(wc -l < runs)" -eq 1 ]
	id=$(jq -r .id <<< "$first")
	fails 10 ledgerbox send --id "$id" product/sku-1 price price:=8
	[[ $stderr =~ 'known with other content' ]]
	works ledgerbox send --status "$id" --format json
	[ "$(jq -c .result <<< "$output")" = '{"fine":true}' ]
}

@test "where the answer is forgotten its events are still known: nothing is executed twice" {
	a_config
	a_pricer
	works ledgerbox send --once order-1 product/sku-1 price price:=9
	sqlite3 ledger.db 'delete from command'
	works ledgerbox send --once order-1 product/sku-1 price price:=9 --format json
	[ "$(jq .repeated <<< "$output")" = true ]
	[ "$(events)" -eq 1 ]
	[ "$(wc -l < runs)" -eq 1 ]
}

@test "what the handler refuses is not recorded: its exit code and result come back, and again the second time" {
	a_config
	a_handler << 'EOC'
echo x >> runs
echo '{"type":"priced","payload":1}'
echo '{"result":{"why":"too dear"}}'
echo 'too dear' >&2
exit 7
EOC
	for _ in 1 2; do
		fails 1 ledgerbox send --once a product/sku-1 price price:=9 --format json
		[ "$(jq -c '[.code, .status, .exit, .result]' <<< "$output")" = '[1,"no",7,{"why":"too dear"}]' ]
	done
	[[ $stderr =~ 'exit code 7 of the handler: too dear' ]]
	[ "$(wc -l < runs)" -eq 1 ]
	[ "$(events)" -eq 0 ]
}

@test "all of its events or none: a bad line, an event of another stream, garbage record nothing" {
	a_config
	for said in '{"type":"priced","payload":' '{"type":"a b","payload":1}' 'hello' '{"type":"t","payload":1,"stream":"product/other"}' \
		'{"type":"t","payload":1,"domain":"orders"}' '{"type":"t","payload":1,"domain":"_ownership"}' \
		'{"type":"t","payload":1,"id":"0193a5c2-0000-7000-8000-000000000001"}' '{"result":1}
{"result":2}' '{"type":"t","payload":1,"sequence":1}'; do
		a_handler << EOC
echo '{"type":"priced","payload":1}'
echo '$said'
EOC
		fails 12 ledgerbox send product/sku-1 price
		[ "$(events)" -eq 0 ]
	done
	a_handler <<< 'head -c 10000000 /dev/zero'
	fails 12 ledgerbox send product/sku-1 price
	a_handler <<< 'kill -9 $$'
	fails 21 ledgerbox send product/sku-1 price
	[[ $stderr =~ 'killed by signal 9' ]]
	[ "$(events)" -eq 0 ]
}

@test "a handler that hangs is ended after its time, with what it has started" {
	a_config 'timeout: 300ms'
	a_handler <<< 'sleep 1000 & echo $! > child; wait'
	fails 22 ledgerbox send product/sku-1 price
	[[ $stderr =~ 'no answer in time' ]]
	is_dead() {
		! kill -0 "$(cat child)" 2> /dev/null || grep -q '^State:.Z' "/proc/$(cat child)/status"
	}
	until_true is_dead
}

@test "only what is listed runs: an unknown command, and one of another type, are refused" {
	a_config
	a_pricer
	fails 12 ledgerbox send product/sku-1 delete
	[[ $stderr =~ 'no command delete for streams of type product' ]]
	fails 12 ledgerbox send order/1 price
	fails 12 ledgerbox send product/sku-1 ./handler
	fails 12 ledgerbox send product/sku-1 'a;b'
	[ ! -e runs ]
}

@test "a config or a program that others can write runs nothing" {
	a_config
	a_pricer
	chmod g+w handler
	fails 14 ledgerbox send product/sku-1 price price:=1
	chmod g-w handler
	chmod o+w ledger.yaml
	fails 14 ledgerbox send product/sku-1 price price:=1
	[ ! -e runs ]
}

@test "a program gets none of this environment but a few names" {
	a_config
	a_handler << 'EOC'
jq -nc --arg e "$(env | cut -d= -f1 | sort | xargs)" '{result: $e}'
EOC
	works env SECRET=1 LEDGER_HMAC_KEY= ledgerbox send product/sku-1 price
	[[ ! ${lines[1]} =~ SECRET ]]
	[[ ${lines[1]} =~ LEDGER_COMMAND ]]
}

@test "an append between reading and answering is a conflict: the handler runs again, then it is refused" {
	a_config 'retries: 2'
	a_handler << 'EOC'
echo x >> runs
[ "$(wc -l < runs)" -gt "$(cat calm)" ] ||
	ledgerbox append --config ledger.yaml -d inventory -t t -s product/sku-1 1 > /dev/null
echo '{"type":"priced","payload":1}'
EOC
	sed -i "2i export PATH=$PATH XDG_STATE_HOME=$XDG_STATE_HOME" handler
	echo 2 > calm
	works ledgerbox send product/sku-1 price
	[ "$(wc -l < runs)" -eq 3 ]
	rm runs
	echo 9 > calm
	fails 10 ledgerbox send product/sku-1 price
	[ "$(wc -l < runs)" -eq 3 ]
}

@test "lines of stdin are many commands; those of one stream stay in order; a failed one does not stop the others" {
	a_config 'mode: lines, state: true'
	a_handler << 'EOC'
while read -r line; do
	echo $$ >> runs
	id=$(jq -r .id <<< "$line")
	[[ $line != *'"n":13'* ]] || { echo "error $id unlucky" && continue; }
	jq -c '{type: "t", payload: .payload}' <<< "$line"
	echo "ok $id"
done
EOC
	seq 20 | jq -c '{stream: "product/\(. % 4)", command: "price", payload: {n: .}}' > lines
	fails 1 ledgerbox send --format json < lines
	[ "$(wc -l <<< "$output")" -eq 20 ]
	[[ $stderr =~ 'line 13' ]] && [[ $stderr =~ unlucky ]]
	[ "$(events)" -eq 19 ]
	[ "$(sort -u runs | wc -l)" -eq 1 ]
	for i in 0 1 2 3; do
		ledgerbox tail -n all --stream product/$i --format payload | jq .n | sort -nc
	done
}

@test "a program of mode lines that says what it must not is ended, the commands behind are executed by a new one" {
	a_config 'mode: lines'
	a_handler << 'EOC'
while read -r line; do
	id=$(jq -r .id <<< "$line")
	[[ $line != *'"n":3}'* ]] || { echo "what?" && continue; }
	echo "ok $id"
done
EOC
	seq 6 | jq -c '{stream: "product/\(.)", command: "price", payload: {n: .}}' > lines
	fails 12 ledgerbox send --format json < lines
	[ "$(jq -c .status <<< "$output" | sort | uniq -c | xargs)" = '1 invalid 5 ok' ]
}

@test "wrong input is refused before anything runs" {
	a_config
	a_pricer
	fails 12 ledgerbox send nothing price
	fails 2 ledgerbox send product/sku-1
	fails 12 ledgerbox send product/sku-1 price '{'
	fails 12 ledgerbox send --id x product/sku-1 price
	fails 2 ledgerbox send --id x --once y product/sku-1 price
	fails 2 ledgerbox send --expires 40d product/sku-1 price
	fails 2 ledgerbox send --in-flight 0 < /dev/null
	fails 12 ledgerbox send <<< '{"stream":"product/1"}'
	fails 12 ledgerbox send <<< '{"stream":"product/1","command":"price","exec":["/bin/true"]}'
	fails 12 ledgerbox send --status x
	fails 1 ledgerbox send --status 0193a5c2-0000-7000-8000-000000000001
	head -c 10000000 /dev/zero | tr '\0' 1 > big
	fails 12 ledgerbox send product/sku-1 price @big
	[ ! -e runs ]
}

@test "an expired command is not executed" {
	a_config
	a_pricer
	fails 22 ledgerbox send --expires 0s product/sku-1 price price:=1
	[ ! -e runs ]
}

@test "the config says what is wrong with a command" {
	for c in '{command: a, exec: [/x]}' '{stream_type: p, exec: [/x]}' '{stream_type: p, command: a}' \
		'{stream_type: p, command: a, exec: [x]}' '{stream_type: p, command: _a, exec: [/x]}' \
		'{stream_type: p, command: a, exec: [/x], mode: all}' '{stream_type: p, command: a, exec: [/x], color: red}' \
		'{stream_type: p, command: a, exec: [/x]}, {stream_type: p, command: a, exec: [/y]}'; do
		printf 'commands: [%s]\n' "$c" > bad.yaml
		fails 2 ledgerbox config check --config bad.yaml
		[[ $stderr =~ bad.yaml:1: ]]
	done
}

@test "a stream of an owned type is commanded by its owner only; without one the hint says how to claim it" {
	a_config
	sed -i 's/{domain: inventory}/{domain: inventory, owned: true}/' ledger.yaml
	a_pricer
	fails 11 ledgerbox send product/sku-1 price price:=1
	[[ $stderr =~ '--create' ]]
	ledgerbox append --create -d inventory -t made -s product/sku-1 1 > /dev/null
	works ledgerbox send product/sku-1 price price:=1
	[ "$(wc -l < runs)" -eq 1 ]
}

@test "what was not executed is counted" {
	a_config
	a_pricer
	works ledgerbox send product/sku-1 price price:=1
	fails 12 ledgerbox send product/sku-1 unknown
	works ledgerbox status --format json
	[ "$(jq -c '[.commands.executed, .commands.refused]' <<< "$output")" = '[1,1]' ]
	[ "$(jq -c '[.wrong[] | [.what, .next]]' <<< "$output")" = '[["commands_failed","journalctl -u ledgerbox-serve-sync -g command- names each with its id"]]' ]
	works ledgerbox status
	[[ "$output" == *$'\ncommands_failed 1 refused, the last one '* ]]
	fails 1 ledgerbox status --check --warn commands_failed=1
	[[ "$output" == 'LEDGERBOX WARNING - commands_failed 1 | '* ]]
	works ledgerbox status --check --warn commands_failed=2
	# What is long over is counted, and no finding any more.
	sqlite3 ledger.db 'UPDATE command_count SET last = last - 86400000000'
	works ledgerbox status --format json
	[ "$(jq -c '[.commands.refused, .wrong]' <<< "$output")" = '[1,[]]' ]
}

@test "append --at-owner is a command that needs no handler" {
	a_config
	sed -i 's/{domain: inventory}/{domain: inventory, owned: true}/' ledger.yaml
	ledgerbox append --create -d inventory -t made -s product/sku-1 1 > /dev/null
	works ledgerbox append --at-owner --once a --expect 1 -t priced -s product/sku-1 --tag a:1 --meta by=me price:=9
	first=$output
	works ledgerbox append --at-owner --once a --expect 1 -t priced -s product/sku-1 --tag a:1 --meta by=me price:=9
	[ "$output" = "$first" ]
	[ "$(events)" -eq 2 ]
	[ "$(ledgerbox tail -n 1 --format json | jq -c '[.type, .tags, .payload, .metadata]')" = '["priced",["a:1"],{"price":9},{"by":"me"}]' ]
	[ "${first%% *}" = "$(ledgerbox tail -n 1 --format json | jq .position)" ]
	fails 10 ledgerbox append --at-owner --expect 1 -t priced -s product/sku-1 1
	fails 11 ledgerbox append --at-owner -t priced -s product/sku-2 1
	fails 12 ledgerbox append --at-owner -d inventory -t priced 1
	fails 2 ledgerbox append --at-owner -t priced -s product/sku-1 < /dev/null
}
