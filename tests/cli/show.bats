load helper

prepare() {
	a_ledger
	ledgerbox append -q -d inventory -t stock_adjusted -s product/sku-1 --tag product:sku-1 --tag shelf:a \
		--time 2026-11-18T10:00:00Z --correlation c-1 '{"delta":-2,"why":{"x":[1,2.50]}}'
	ledgerbox append -q -d inventory -t note '"hello"'
}

field() {
	ledgerbox tail --from "$1" --to "$1" --format tsv --fields "$2"
}

@test "an event is found by position, id, beginning of an id, and place" {
	local id place reference
	id=$(field 2 id)
	place="store-a/$(field 2 epoch)/inventory/2"
	for reference in 2 "$id" "${id:0:23}" "$place" "${id^^}"; do
		works ledgerbox show "$reference" --format payload
		[ "$output" = '"hello"' ]
	done
}

@test "text has every field" {
	works ledgerbox show 1
	[ "$(grep -c '^[a-z]*:' <<< "$output")" -eq 21 ]
	grep -qx "position:  1" <<< "$output"
	grep -qx "id:        $(field 1 id)" <<< "$output"
	grep -qx "place:     store-a/$(field 1 epoch)/inventory/1" <<< "$output"
	grep -qx "stream:    product/sku-1" <<< "$output"
	grep -qx "version:   1" <<< "$output"
	grep -qx "time:      2026-11-18T10:00:00.000000Z (2026-11-18T10:00:00+00:00)" <<< "$output"
	grep -qx "tags:      product:sku-1" <<< "$output"
	grep -qx "           shelf:a" <<< "$output"
	grep -qx '    "delta": -2,' <<< "$output"
	grep -qx '        2.50' <<< "$output"
	grep -qx '    "correlation_id": "c-1"' <<< "$output"
	grep -qx "hash:      $(field 1 hash)" <<< "$output"
	grep -qx "mac:       $(field 1 mac)" <<< "$output"
}

@test "what is absent has no line" {
	works ledgerbox show 2
	! grep -q '^\(stream\|version\|tags\|metadata\):' <<< "$output"
}

@test "json is the line that tail prints" {
	[ "$(ledgerbox show 1 --format json)" = "$(ledgerbox tail --to 1 --format json)" ]
}

@test "several are printed, and what is missing is told" {
	works ledgerbox show 2 1 --format payload
	[ "${lines[0]}" = '"hello"' ]
	fails 1 ledgerbox show 2 99 1 98 --format payload
	[ "${#lines[@]}" -eq 2 ]
	[[ "$stderr" == *99* ]]
	[[ "$stderr" == *98* ]]
	fails 12 ledgerbox show 99 'no such' 1 98 --format payload
	[ "${#lines[@]}" -eq 1 ]
}

@test "not found is 1, what names no event 12, nothing named 2" {
	fails 1 ledgerbox show 3
	[ -z "$output" ]
	[[ "$stderr" == *3* ]]
	fails 1 ledgerbox show 0193a5c2-4b6e-7d10-9f3a-5b1c6d7e8f90
	fails 1 ledgerbox show store-b/1/inventory/1
	fails 12 ledgerbox show xyz
	fails 12 ledgerbox show ''
	fails 12 ledgerbox show a/b
	fails 12 ledgerbox show "$(printf '%0100000d' 0)x"
	fails 2 ledgerbox show
	fails 2 ledgerbox show --proof --format json 1
}

@test "a proof is enough to recompute the hash by hand" {
	works ledgerbox show 1 --proof
	[[ "$output" == *"$(field 1 hash)"* ]]
	[[ "$output" == *"$(printf '{"delta":-2,"why":{"x":[1,2.50]}}' | od -An -tx1 | tr -d ' \n')"* ]]
	[[ "$output" == *"$(printf 'product/sku-1' | cut -d / -f 2 | tr -d '\n' | od -An -tx1 | tr -d ' \n')"* ]]
}

@test "-o is replaced only when all was found" {
	echo old > out
	fails 1 ledgerbox show 1 99 -o out
	[ "$(cat out)" = old ]
	works ledgerbox show 2 --format payload -o out
	[ "$(cat out)" = '"hello"' ]
}

@test "a full stdout is told" {
	run --separate-stderr bash -c 'ledgerbox show 1 > /dev/full'
	[ "$status" -eq 24 ]
}
