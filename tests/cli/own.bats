# Who may write to a stream: two ledgers with one key, whose events are carried by hand.

load helper

prepare() {
	a_ledger
	owned >> ledger.yaml
	mkdir b
	cp ledger.key b/
	(cd b && ledgerbox init --node store-b --key-file ledger.key -q && owned >> ledger.yaml)
}

owned() {
	echo 'stream_types: {product: {domain: inventory, owned: true}}'
}

record() {
	ledgerbox append -t stock_adjusted "$@" delta:=1
}

at_b() {
	(cd b && "$@")
}

# What one ledger has goes to the other.
carry() {
	local from=. to=b
	[ "$1" = back ] && from=b to=.
	(cd $from && ledgerbox tail -n all --format json) | sed -E 's/"position":[0-9]+,//' > lines
	(cd $to && "$(dirname "$(realpath "$(command -v ledgerbox)")")/../tests/offer" \
		ledger.db ledger.key "peer" < "$WORK/lines" > /dev/null)
}

@test "a stream of an owned type is created, then written by its owner alone" {
	fails 11 record -s product/sku-1
	[[ "$stderr" == *'nobody owns stream product/sku-1'*'--create'*"own claim 'product/sku-1'"* ]]
	works record -s product/sku-1 --create
	works record -s product/sku-1
	fails 10 record -s product/sku-1 --create
	carry there
	fails 11 at_b record -s product/sku-1
	[[ "$stderr" == *'stream product/sku-1 is owned by store-a'*"own transfer 'product/sku-1' store-b"* ]]
	fails 11 at_b record -s product/sku-1 --create
	works at_b record -d sales -s order/1
}

@test "what --create goes with" {
	fails 2 record -s product/sku-1 --create --expect 3
	fails 2 record -s order/1 -d sales --create
	[[ "$stderr" == *'--expect none'* ]]
	fails 12 record -d inventory --create
	fails 2 bash -c 'echo "{\"payload\":1}" | ledgerbox append -t t -s product/sku-1 --create'
	works bash -c 'printf "{\"payload\":1}\n{\"payload\":2}\n" | ledgerbox append -t t -s product/sku-1 --create --atomic'
	works record --expect none --create --dry-run -s product/sku-2
	fails 1 ledgerbox own show product/sku-2
	works record -s product/sku-3 --create --once x
	works record -s product/sku-3 --create --once x
}

@test "lines before one that is refused are recorded" {
	works record -s product/sku-1 --create
	fails 11 bash -c 'printf "%s\n" "{\"stream\":\"product/sku-1\",\"payload\":1}" "{\"stream\":\"product/x\",\"payload\":1}" | ledgerbox append -t t'
	[[ "$stderr" == *'line 2: nobody owns stream product/x'*'lines 1 to 1 are recorded'* ]]
}

@test "show and list say who owns what, for people and for programs" {
	fails 1 ledgerbox own show product/sku-1
	record -s product/sku-1 --create > /dev/null
	works ledgerbox own show product/sku-1
	[[ "$output" == *'owner      store-a'*'state      held, since '*'here       may write' ]]
	works ledgerbox own show product/sku-1 --format json
	[ "$(jq -c '[.stream, .domain, .node, .state, .here, .contested, .may_write]' <<< "$output")" = \
		'["product/sku-1","inventory","store-a","held",true,false,true]' ]
	carry there
	works at_b ledgerbox own show product/sku-1 --format json
	[ "$(jq -c '[.here, .may_write, .why]' <<< "$output")" = '[false,false,"stream product/sku-1 is owned by store-a"]' ]
	works ledgerbox own list
	[ "$output" = 'product/sku-1  inventory  store-a  held' ]
	for filter in '--node store!' '--stream product'; do
		# shellcheck disable=SC2086
		fails 2 ledgerbox own list $filter
		[[ $stderr == *"${filter%% *}: "*"'${filter#* }'"* ]]
	done
	for filter in '--node store-b' '--stream product/sku' '--stream order/' '--domain sales'; do
		# shellcheck disable=SC2086
		works ledgerbox own list $filter
		[ -z "$output" ]
	done
	for filter in '--node store-a' '--stream product/sku-1' '--stream product/' '--domain inventory'; do
		# shellcheck disable=SC2086
		works ledgerbox own list $filter
		[ -n "$output" ]
	done
}

@test "a transfer: nobody writes between the offer and the owner's last word" {
	record -s product/sku-1 --create > /dev/null
	works ledgerbox own transfer product/sku-1 store-b
	[[ "$output" == 'product/sku-1  inventory  store-a  offered to store-b until '* ]]
	works ledgerbox own transfer product/sku-1 store-b
	fails 20 ledgerbox own transfer product/sku-1 store-c
	fails 20 record -s product/sku-1
	[[ "$stderr" == *'own cancel'* ]]
	carry there
	fails 11 at_b record -s product/sku-1
	[[ "$stderr" == *'own accept'* ]]
	works at_b ledgerbox own accept product/sku-1
	[ "$output" = 'product/sku-1  inventory  store-a  accepted by store-b' ]
	fails 11 at_b record -s product/sku-1
	carry back
	fails 11 record -s product/sku-1
	works ledgerbox own show product/sku-1 --format json
	[ "$(jq -r .node <<< "$output")" = store-b ]
	works bash -c 'ledgerbox tail -d _ownership --format json | tail -n 1 | jq -c "[.type, .payload.to, (.payload.heads | length)]"'
	[ "$output" = '["transferred","store-b",1]' ]
	fails 11 at_b record -s product/sku-1
	carry there
	works at_b record -s product/sku-1
	works ledgerbox verify -q --deep
	works at_b ledgerbox verify -q --deep
}

@test "an offer is taken back by the owner, by word or when its time is over" {
	record -s product/sku-1 --create > /dev/null
	fails 1 ledgerbox own cancel product/sku-1
	ledgerbox own transfer product/sku-1 store-b -q
	carry there
	fails 11 at_b ledgerbox own cancel product/sku-1
	at_b ledgerbox own accept product/sku-1 -q
	works ledgerbox own cancel product/sku-1
	[ "$output" = 'product/sku-1  inventory  store-a  held' ]
	carry back
	works record -s product/sku-1
	ledgerbox own transfer product/sku-1 store-b --ttl 1ms -q
	works record -s product/sku-1
	works bash -c 'ledgerbox tail -d _ownership --format json | tail -n 1 | jq -r .payload.reason'
	[ "$output" = expired ]
	carry there
	fails 1 at_b ledgerbox own accept product/sku-1
	fails 2 ledgerbox own transfer product/sku-1 store-b --ttl 0
	fails 12 ledgerbox own transfer product/sku-1 store-a
	fails 12 ledgerbox own transfer product/sku-1 'store b'
	fails 2 ledgerbox own transfer product/sku-1
}

@test "two nodes that claimed one stream: the first has won, everywhere, and all say so" {
	record -s product/sku-1 --create > /dev/null
	at_b record -s product/sku-1 --create > /dev/null
	at_b record -s product/sku-1 > /dev/null
	carry there
	carry back
	works at_b ledgerbox own conflicts --format json
	conflict=$output
	[ "$(jq -c '[.node, .here, [.claims[].node]]' <<< "$output")" = '["store-a",false,["store-a","store-b"]]' ]
	works ledgerbox own conflicts --format json
	[ "$(jq -c .claims <<< "$output")" = "$(jq -c .claims <<< "$conflict")" ]
	works ledgerbox own conflicts
	[[ "$output" == 'product/sku-1  inventory  owned by store-a; claimed by store-a '*', store-b '* ]]
	fails 11 at_b record -s product/sku-1
	[[ "$stderr" == *store-a* ]]
	works record -s product/sku-1
	[ "$(ledgerbox tail -n all --domain inventory | wc -l)" -eq 4 ]
	works ledgerbox status
	[[ "$output" == *$'\ncontested '*'product/sku-1 (store-a)'*$'\n'*'-> ledgerbox own conflicts'$'\n'* ]]
	works ledgerbox status --format json
	[ "$(jq -c '[.contested, .offered, [.wrong[].what]]' <<< "$output")" = '[1,0,["contested"]]' ]
	fails 2 ledgerbox status --check --crit contested=1
	[[ "$output" == 'LEDGERBOX CRITICAL - contested 1 | '*' contested=1;;0 '* ]]
	works ledgerbox status --check --crit contested=2
	works ledgerbox status --format prometheus -o status.prom
	grep -q '^ledgerbox_contested_streams{.*} 1$' status.prom
}

@test "a stream that changes hands is a finding of status: whose turn it is, and what to type there" {
	record -s product/sku-1 --create > /dev/null
	works ledgerbox status --format json
	[ "$(jq -c '[.offered, .wrong]' <<< "$output")" = '[0,[]]' ]
	ledgerbox own transfer product/sku-1 store-b > /dev/null
	carry there
	works ledgerbox status
	[[ "$output" == *$'\noffered '*'product/sku-1 of store-a was offered to store-b until '*"on store-b: ledgerbox own accept 'product/sku-1'"*"ledgerbox own cancel 'product/sku-1'"* ]]
	works at_b ledgerbox status --format json
	[ "$(jq -c '[.offered, [.wrong[] | [.what, .next]]]' <<< "$output")" = "[1,[[\"offered\",\"ledgerbox own accept 'product/sku-1'\"]]]" ]
	fails 1 ledgerbox status --check --warn offered=1
	[[ "$output" == 'LEDGERBOX WARNING - offered 1 | '* ]]
	works at_b ledgerbox own accept product/sku-1
	works at_b ledgerbox status
	[[ "$output" == *'and accepted'*"on store-a: ledgerbox own show 'product/sku-1'"* ]]
	carry back
	works ledgerbox status
	[[ "$output" == *'and accepted'*'serve-sync hands it over'* ]]
	works ledgerbox own cancel product/sku-1
	works ledgerbox status --format json
	[ "$(jq -c '[.offered, .wrong]' <<< "$output")" = '[0,[]]' ]
}

@test "streams come from stdin too, many in one transaction" {
	seq -f 'product/%g' 1 2500 | ledgerbox own claim - > answers
	[ "$(wc -l < answers)" -eq 2500 ]
	[ "$(ledgerbox own list --stream product/ | wc -l)" -eq 2500 ]
	fails 12 bash -c 'printf "%s\n" product/a "" nonsense product/b | ledgerbox own claim -'
	[[ "$stderr" == *"line 3: stream 'nonsense' has no '/'"* ]]
	[ "$output" = 'product/a  inventory  store-a  held' ]
	fails 1 ledgerbox own show product/b
	seq -f 'product/%g' 1 3 | ledgerbox own transfer - store-b -q
	[ "$(ledgerbox own list | grep -c offered)" -eq 3 ]
	works bash -c 'seq -f product/%g 1 3 | ledgerbox own show - --format json | jq -r .state'
	[ "$output" = $'offered\noffered\noffered' ]
	seq -f 'product/%g' 1 3 | ledgerbox own cancel - -q
	[ "$(ledgerbox own list | grep -c held)" -eq 2501 ]
	works ledgerbox verify -q
}

@test "a stream of any type can be claimed; its domain is found or asked for" {
	record -d sales -s order/1 > /dev/null
	works ledgerbox own claim order/1
	[ "$output" = 'order/1  sales  store-a  held' ]
	works ledgerbox own claim order/1
	fails 12 ledgerbox own claim order/2
	[[ "$stderr" == *'-d'* ]]
	works ledgerbox own claim order/2 -d sales
	works ledgerbox own claim order/2 -d returns
	fails 12 ledgerbox own show order/2
	works ledgerbox own show order/2 -d returns
	fails 12 ledgerbox own claim order/3 -d _ledger
	fails 12 ledgerbox own claim order -d sales
	works record -d sales -s order/1
	carry there
	works at_b record -d sales -s order/1
}

@test "the events of ownership are no stream of that name" {
	record -s product/sku-1 --create > /dev/null
	works ledgerbox state product/sku-1
	[ "$output" = '{"delta":1}' ]
	works ledgerbox tail --stream product/sku-1
	[ "$(wc -l <<< "$output")" -eq 1 ]
	fails 12 ledgerbox append -d _ownership -t claimed domain=inventory stream=product/x
}

@test "what was done to the tables of owners is found" {
	record -s product/sku-1 --create > /dev/null
	ledgerbox verify -q
	sqlite3 ledger.db "update owner set node = 'store-b'"
	fails 3 ledgerbox verify
	[[ "$output" == *OWNER_MISMATCH*product/sku-1* ]]
	[[ "$(sqlite3 ledger.db 'delete from ownership' 2>&1)" == *'never deleted'* ]]
}
