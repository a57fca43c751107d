load helper

prepare() {
	a_ledger
	a_few 5
}

@test "without cursors the list is empty" {
	works ledgerbox cursor list
	[ -z "$output" ]
}

@test "set, show, list and delete" {
	works ledgerbox cursor set mail 3
	[[ "$output" == "mail  3  2  20"* ]]
	works ledgerbox cursor set a.b:c-1 0 -q
	[ -z "$output" ]
	works ledgerbox cursor list
	[ "${#lines[@]}" -eq 2 ]
	[[ "${lines[0]}" == "a.b:c-1  0  5  "* ]]
	[[ "${lines[1]}" == "mail  3  2  "* ]]
	works ledgerbox cursor show mail
	[[ "$output" == "mail  3  2  "* ]]
	works ledgerbox cursor set mail 1
	[[ "$output" == "mail  1  4  "* ]]
	works ledgerbox cursor delete mail
	fails 1 ledgerbox cursor show mail
	[[ "$stderr" == *mail* ]]
}

@test "json has the hash of the event there" {
	ledgerbox cursor set mail 3 -q
	ledgerbox cursor set new 0 -q
	ledgerbox cursor list --format json > list
	ledgerbox tail --from 3 --to 3 --format json > event
	python3 - <<-'END'
	import json
	mail, new = [json.loads(line) for line in open("list")]
	event = json.loads(open("event").read())
	assert list(mail) == ["name", "position", "behind", "hash", "updated"]
	assert (mail["name"], mail["position"], mail["behind"]) == ("mail", 3, 2)
	assert mail["hash"] == event["hash"]
	assert new["hash"] == "0" * 64
	END
}

@test "tail goes on behind a cursor that was set" {
	ledgerbox cursor set mail 3 -q
	[ "$(ledgerbox tail --cursor mail --format tsv --fields position | tr '\n' ' ')" = "4 5 " ]
	ledgerbox cursor delete mail
	[ "$(ledgerbox tail --cursor mail --format tsv --fields position | wc -l)" -eq 5 ]
}

@test "bad calls are 2 and say what was bad" {
	local call
	while read -r call; do
		# shellcheck disable=SC2086
		fails 2 ledgerbox cursor $call
		[ -n "$stderr" ]
	done <<-'END'
	frobnicate
	list mail
	show
	show a b
	show a/b
	set mail
	set mail -1
	set mail x
	set mail 1.5
	set mail 99999999999999999999
	set ../x 1
	delete
	delete a b
	END
	fails 2 ledgerbox cursor set mail x
	[[ "$stderr" == *"'x'"* ]]
	works ledgerbox cursor list
	[ -z "$output" ]
}

@test "a position that the ledger has not reached is 12, a cursor that is not there 1" {
	fails 12 ledgerbox cursor set mail 6
	[[ "$stderr" == *6* ]]
	fails 1 ledgerbox cursor show mail
	fails 1 ledgerbox cursor delete mail
}

@test "a cursor of another history is 14, and can be set again" {
	ledgerbox cursor set mail 3 -q
	sqlite3 ledger.db "update cursor set hash = zeroblob(32) where name = 'mail'"
	fails 14 ledgerbox cursor show mail
	fails 14 ledgerbox tail --cursor mail
	[ -z "$output" ]
	works ledgerbox cursor set mail 3
	works ledgerbox cursor show mail
}

@test "who may only read cannot move a cursor, and nothing is printed" {
	[ "$(id -u)" -ne 0 ] || skip "root may write everywhere"
	chmod a-w ledger.db .
	fails 14 ledgerbox tail --cursor mail
	[ -z "$output" ]
}
