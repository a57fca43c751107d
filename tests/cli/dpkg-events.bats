load helper

# The filter, in the time zone $1, over lines on stdin.
filter() {
	TZ=$1 "$BATS_TEST_DIRNAME/../dpkg-events"
}

# Is the value at the jq path $2 of the event line $1 just $3?
has() {
	local found
	found=$(jq -c "$2" <<< "$1")
	[ "$found" = "$3" ] || {
		echo "$2 is $found instead of $3 in: $1"
		return 1
	}
}

@test "each kind of line has its type, stream and payload" {
	run filter UTC <<- 'END'
		2025-07-15 12:00:00 startup archives unpack
		2025-07-15 12:00:00 install foo:amd64 <none> 1.0-1
		2025-07-15 12:00:00 upgrade libc++-dev:all 1:2.0 1:2.1~rc1
		2025-07-15 12:00:00 status installed foo:amd64 1.0-1
		2025-07-15 12:00:00 remove foo 1.0-1 <none>
		2025-07-15 12:00:00 conffile /etc/a file keep
	END
	[ "$status" -eq 0 ]
	has "${lines[0]}" '[.domain, .type, .stream, .payload]' '["packages","startup",null,{"type":"archives","command":"unpack"}]'
	has "${lines[1]}" '[.type, .stream, .payload]' '["install","package/foo",{"arch":"amd64","new":"1.0-1"}]'
	has "${lines[2]}" '[.stream, .payload]' '["package/libc++-dev",{"arch":"all","old":"1:2.0","new":"1:2.1~rc1"}]'
	has "${lines[3]}" '[.type, .payload]' '["status",{"state":"installed","arch":"amd64","version":"1.0-1"}]'
	has "${lines[4]}" '[.type, .payload]' '["remove",{"old":"1.0-1"}]'
	has "${lines[5]}" '[.stream, .payload]' '[null,{"file":"/etc/a file","decision":"keep"}]'
}

@test "local time gets the offset that was in force then" {
	run filter Europe/Berlin <<- 'END'
		2025-03-30 01:59:59 startup archives unpack
		2025-03-30 03:00:00 startup archives unpack
		2025-10-26 03:00:00 startup archives unpack
	END
	has "${lines[0]}" .time '"2025-03-30T01:59:59+01:00"'
	has "${lines[1]}" .time '"2025-03-30T03:00:00+02:00"'
	has "${lines[2]}" .time '"2025-10-26T03:00:00+01:00"'
	run filter Asia/Kolkata <<< '2025-07-15 12:00:00 startup archives unpack'
	has "$output" .time '"2025-07-15T12:00:00+05:30"'
}

@test "quotes, backslashes and control characters are escaped" {
	run filter UTC <<< $'2025-07-15 12:00:00 conffile /a"b\\c\x01\x7f keep'
	has "$output" .payload.file '"/a\"b\\c\u0001\u007f"'
}

@test "what is not understood is named, counted and left out" {
	run --separate-stderr filter UTC <<- 'END'
		2025-07-15 12:00:00 startup archives unpack
		2025-02-29 12:00:00 startup archives unpack
		2025-07-15 24:00:00 startup archives unpack
		2025-07-15 12:00:00 status installed ../../x 1.0
		2025-07-15 12:00:00 frobnicate foo 1 2

		2025-07-15 12:0
	END
	[ "$status" -eq 0 ]
	[ "${#lines[@]}" -eq 1 ]
	[[ $stderr == *'-:2: not understood: "2025-02-29 12:00:00 startup archives unpack"'* ]]
	[[ $stderr == *'6 lines left out' ]]
}

@test "the whole sample is understood, and append takes all of it" {
	a_ledger
	sample="$BATS_TEST_DIRNAME/../data/dpkg.log.sample"
	"$BATS_TEST_DIRNAME/../dpkg-events" "$sample" > events 2> complaints
	[ ! -s complaints ]
	[ "$(wc -l < events)" -eq 3000 ]
	works ledgerbox append < events
	[ "${#lines[@]}" -eq 3000 ]
	works ledgerbox verify -q
}
