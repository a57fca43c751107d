# The example units: systemd takes them, and what they start is there.
load helper

UNITS=$BATS_TEST_DIRNAME/../../cmd/systemd

# The units as they are installed, with our program in a place that verify can look at.
units() {
	local file
	mkdir units
	for file in "$UNITS"/*.service.in; do
		sed "s|@bindir@/ledgerbox|$(realpath "$(command -v ledgerbox)")|" "$file" > "units/$(basename "$file" .in)"
	done
	cp "$UNITS"/*.timer units
}

@test "systemd-analyze verify has nothing to say about them" {
	command -v systemd-analyze > /dev/null || skip "no systemd-analyze"
	units
	run systemd-analyze verify --man=no units/*
	echo "$output"
	[ "$status" -eq 0 ]
	# What it says of units that are not ours is not our concern.
	! grep -E 'ledgerbox-|units/' <<< "$output"
}

@test "they expose little, as systemd-analyze security counts it" {
	command -v systemd-analyze > /dev/null || skip "no systemd-analyze"
	units
	local unit
	for unit in serve-sync:30 verify:25; do
		run systemd-analyze security --offline=true --threshold="${unit#*:}" "units/ledgerbox-${unit%:*}.service"
		[ "$status" -eq 0 ] || {
			tail -n 3 <<< "$output"
			return 1
		}
	done
}

@test "they start commands that there are, with options that these have" {
	local line
	grep -h '^ExecStart=' "$UNITS"/*.in | sed 's/^[^ ]* //' > lines
	[ "$(wc -l < lines)" -eq 3 ]
	while read -r command option _; do
		# Not every build has the daemon.
		[ "$command" != serve-sync ] || continue
		works ledgerbox "$command" --help
		[[ "$output" == *"$option"* ]]
	done < lines
}

@test "each timer has its service, and each is installed" {
	local timer
	for timer in "$UNITS"/*.timer; do
		[ -f "${timer%.timer}.service.in" ]
		grep -qF "'$(basename "$timer")'" "$UNITS/meson.build"
	done
}
