# The rules about the tree, as README.md and the man pages promise them.

load helper

prepare() {
	cd "$BATS_TEST_DIRNAME/../.." || return 1
}

commands() {
	ledgerbox __complete -- '' | cut -f1
}

# sources FOLDER …
sources() {
	find "$@" -name '*.[ch]' | sort
}

# What is ours: everything but git's own, builds, and what tests leave behind.
our_files() {
	find . \( -path ./.git -o -path './build*' -o -name __pycache__ -o -path ./tests/bench/out \) -prune \
		-o -type f -not -name '*.swp' -print | cut -c 3- | sort
}

# The code of a file without its comments.
code() {
	gcc -fpreprocessed -dD -E -P -w "$1"
}

# Prints what it is given on stdin and fails where that is anything.
nothing() {
	! grep .
}

# --- Doors

# has_door HEADER FILE…: of all sources, these alone include it.
has_door() {
	[ "$(sources lib cmd | xargs grep -lE "^ *# *include *<$1>" | xargs)" = "${*:2}" ]
}

# has_users FOLDER FILES: of all sources there, FILES alone include its door.h.
has_users() {
	[ "$(sources "$1" | xargs grep -l '^ *# *include *"door\.h"' | xargs)" = "$2" ]
}

@test "each foreign library is included by one file only, SQLite by one for ledgers and one for projections" {
	has_door 'sqlite3\.h' lib/fold/door.h lib/store/door.h
	has_users lib/store 'lib/store/stmt.c lib/store/store.c lib/store/transaction.c'
	has_users lib/fold 'lib/fold/params.c lib/fold/sealed.c lib/fold/sqlite.c lib/fold/statement.c'
	has_door 'nats(/nats)?\.h' lib/sync/door.h
	has_users lib/sync 'lib/sync/link_nats.c lib/sync/open_nats.c lib/sync/options_nats.c'
	! sources lib cmd | xargs grep -E '^ *# *include *".*/door\.h"'
	has_door 'openssl/[a-z0-9]+\.h' lib/event/chain.c
	has_door 'yaml\.h' cmd/yaml.c
}

@test "no other library is included: what stands in < > is the C library's or the kernel's" {
	sources lib cmd | xargs sed -nE 's/^ *# *include *<([^>]+)>.*/\1/p' | sort -u |
		grep -vxE 'sqlite3\.h|openssl/.*|yaml\.h|nats/nats\.h' > "$WORK/headers"
	[ -s "$WORK/headers" ]
	command -v dpkg-query > /dev/null || skip "no dpkg-query"
	# stdatomic.h, stdarg.h and the like are the compiler's own.
	while read -r header; do
		file=$(echo "#include <$header>" | gcc -xc -E - | grep -oEm 1 "/[^\"]*/$header")
		case $file in
		*/lib/gcc/*) ;;
		*) dpkg-query -S "$(realpath "$file")" 2>&1 ;;
		esac
	done < "$WORK/headers" | grep -vE '/lib/gcc/|^(libc6-dev|linux-libc-dev)[:, ]' | nothing
}

# --- Layers

# What a file includes of ours, as paths from the top: includes FILE
includes() {
	sed -nE 's/^ *# *include *"([^"]+)".*/\1/p' "$1" | while read -r name; do
		realpath -m --relative-to=. "$(dirname "$1")/$name"
	done
}

# Does what FILE includes match the expression?
only_includes() {
	includes "$1" | grep -vxE "$2" | sed "s|^|$1 includes |" | nothing
}

@test "a command includes from lib only its public headers and banned.h" {
	sources cmd | while read -r file; do
		only_includes "$file" 'cmd/[^/]+\.h|lib/(ledger|fold|own|peers|replay|send|sync)\.h|lib/base/banned\.h' || echo "$file"
	done | nothing
}

@test "includes in lib go down only: base, event, store, fold, own, sync" {
	[ "$(ls -d lib/*/ | tr '\n' ' ')" = 'lib/base/ lib/event/ lib/fold/ lib/own/ lib/store/ lib/sync/ ' ]
	{
		only_includes lib/ledger.h 'lib/(base|event)/[^/]+\.h' || :
		only_includes lib/fold.h 'lib/ledger\.h' || :
		only_includes lib/own.h 'lib/ledger\.h' || :
		only_includes lib/peers.h 'lib/ledger\.h' || :
		only_includes lib/replay.h 'lib/ledger\.h' || :
		only_includes lib/send.h 'lib/(fold|replay)\.h' || :
		sources lib/base | while read -r file; do
			only_includes "$file" 'lib/base/[^/]+\.h' || :
		done
		sources lib/event | while read -r file; do
			only_includes "$file" 'lib/(base|event)/[^/]+\.h|lib/ledger\.h' || :
		done
		sources lib/store | while read -r file; do
			only_includes "$file" 'lib/(base|event|store)/[^/]+\.h|lib/(ledger|peers|replay|send)\.h' || :
		done
		sources lib/fold | while read -r file; do
			only_includes "$file" 'lib/(base|event|store|fold)/[^/]+\.h|lib/(ledger|fold|replay)\.h' || :
			includes "$file" | grep -x lib/store/door.h || :
		done
		sources lib/own | while read -r file; do
			only_includes "$file" 'lib/(base|event|store|fold|own)/[^/]+\.h|lib/(ledger|own|peers|send)\.h' || :
			includes "$file" | grep -x lib/store/door.h || :
		done
		sources lib/sync | while read -r file; do
			only_includes "$file" 'lib/(base|event|sync)/[^/]+\.h|lib/(ledger|own|peers|send|sync)\.h' || :
		done
	} | nothing
}

@test "a module includes its own header first and banned.h last" {
	sources lib cmd | grep '\.c$' | while read -r file; do
		header=${file%.c}.h
		[ ! -f "$header" ] || [ "$(includes "$file" | head -n 1)" = "$header" ] ||
			echo "$file does not begin with $header"
		grep -E '^ *# *include' "$file" | tail -n 1 | grep -qE '"(banned|.*/base/banned)\.h"' ||
			echo "$file does not end its includes with banned.h"
	done | nothing
}

@test "the library does not print, does not exit and does not look at the environment" {
	# banned.h names functions to forbid them.
	sources lib | grep -v /banned.h | while read -r file; do
		code "$file" > "$WORK/code" || echo "$file cannot be read"
		says() {
			grep -E "$2" "$WORK/code" | sed "s|^|$file $1: |"
		}
		says prints '\<(v?[fd]?printf|f?puts|f?putc|putchar|perror|v?warnx?|v?errx?) *\('
		says prints '\<(stdout|stderr|STDOUT_FILENO|STDERR_FILENO)\>'
		says exits '\<(_?exit|_Exit|quick_exit) *\('
		says 'looks at the environment' '\<((secure_)?getenv *\(|environ\>)'
	done | nothing
}

# --- Lists

@test "MACs are compared in constant time, in one place" {
	run ! grep -rnE '(mem|str|strn)cmp\([^;]*mac\b' lib cmd --include=*.c
	grep -A3 '^bool chain_same' lib/event/chain.c | grep -q CRYPTO_memcmp
	[ "$(grep -rlE 'chain_mac\(|chain_sign\(' lib --include=*.c | xargs grep -LE 'chain_same\(')" = lib/store/append.c ]
}

@test "every source is in its meson.build" {
	for file in $(cd lib && ls */*.c); do
		grep -q "'$file'" lib/meson.build || echo "lib/$file"
	done | nothing
	for file in $(cd cmd && ls *.c); do
		grep -q "'$file'" cmd/meson.build || echo "cmd/$file"
	done | nothing
}

@test "every command has a file, a page, tests, and a row in README.md and ledgerbox(1)" {
	[ "$(commands | wc -l)" -ge 12 ]
	for name in $(commands); do
		[ -f "cmd/$name.c" ] || echo "$name: no cmd/$name.c"
		[ -s "man/ledgerbox-$name.1.scd" ] || echo "$name: no page"
		grep -q "'ledgerbox-$name.1'" man/meson.build || echo "$name: its page is not installed"
		case $name in
		help | install-links) grep -q "ledgerbox $name " tests/cli/program.bats ;;
		*) [ -s "tests/cli/$name.bats" ] ;;
		esac || echo "$name: no tests"
		grep -qE "^\| \`$name\` +\| [a-z]" README.md || echo "$name: no row in README.md"
		grep -qx "\*$name\*" man/ledgerbox.1.scd || echo "$name: no row in ledgerbox(1)"
	done | nothing
}

@test "README.md has a line for every folder, and no folder that is not there" {
	awk '/^## The tree/ { here = 1 } here && /^```/ { fence++ } here && fence == 1' README.md |
		sed -nE 's/^( *)([A-Za-z_.]+\/)  .*/\1\2/p' |
		awk '{ top = /^ / ? top : $1; print /^ / ? top $1 : $1 }' | sort > "$WORK/named"
	our_files | sed -nE -e 'h' -e 's|^([^/]+/).*|\1|p' -e 'g' -e 's|^([^/]+/[^/]+/).*|\1|p' | sort -u |
		diff "$WORK/named" -
}

# --- Looks

@test "clang-format has nothing to change" {
	command -v clang-format > /dev/null || skip "no clang-format"
	sources lib cmd tests | while read -r file; do
		clang-format --dry-run -Werror "$file" 2> /dev/null || echo "$file"
	done | nothing
}

@test "nothing is left to be done in a comment" {
	# Written in two parts, or this file would be found.
	our_files | xargs -d '\n' grep -nwIE 'TO''DO|FIX''ME|X''XX' | nothing
}
