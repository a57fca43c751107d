#!/usr/bin/awk -f
# totals.awk deeds - what the day must come to, by plain arithmetic and without a ledger: the lines that
# `totals` prints, and those that are refused.

{ shelf = "stock/" $1 "." $3; product = "product/" $3 }

$2 == "create" { owner[product] = $1; price[product] = $4 }
$2 == "stock" { add($1, shelf, $4) }
$2 == "price" { price[product] += $4 }
$2 == "sell" && enough(shelf, $4) { here[shelf] -= $4; sold[shelf] += $4 }
$2 == "move" && enough("stock/" $5 "." $3, $4) {
	here["stock/" $5 "." $3] -= $4
	add($6, "stock/" $6 "." $3, $4)
}
$2 == "give" { owner[product] = $4 }

function add(store, to, n) { owner[to] = store; here[to] += n }

function enough(from, n) {
	if (n > here[from])
		print "refused: line " NR
	return n <= here[from]
}

END {
	for (stream in owner)
		print stream, owner[stream], stream ~ /^product/ ? "{\"price\":" price[stream] "}" \
			: "{\"here\":" here[stream] + 0 ",\"sold\":" sold[stream] + 0 "}"
}
