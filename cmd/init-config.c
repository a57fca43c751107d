/* The ledger.yaml that init writes: what is in force, and every other key as an example to
 * uncomment. An explanation begins with "# " and a capital; an example has its key or two blanks
 * behind the #. */
#include "init-config.h"

#include <strings.h>

#include "../lib/base/banned.h"

/* Without quotes where nothing in it could mean anything to YAML. */
static bool is_plain(const char *text)
{
	static const char safe[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./-";
	return text[0] != '-' && text[strspn(text, safe)] == '\0' && strcasecmp(text, "null") != 0;
}

static void add_value(struct buf *out, const char *before, const char *text)
{
	buf_add_text(out, before);
	if (is_plain(text))
		buf_add_text(out, text);
	else
		json_add_string(out, slice_of(text));
	buf_add_char(out, '\n');
}

static const char head[] = "# Config of ledgerbox. Every key: man 5 ledgerbox-config. Check it "
			   "with: ledgerbox config check\n"
			   "# Paths are relative to the folder of this file.\n"
			   "\n"
			   "# Name of this node, the one that is written in the ledger.\n";

static const char ledger[] = "\n# The ledger.\n";

static const char group[] = "\n# Group of the system that may read the key and write the ledger.\n";

static const char state[] = "\n# Where the head file and the state of verify are kept: outside the "
			    "ledger's own folder.\n";

static const char keys[] = "\n# How long to wait for a lock, 1ms to 1h.\n"
			   "#timeout: 5s\n"
			   "\n"
			   "# Files of 64 hex digits each.\n"
			   "keys:\n"
			   "  # Signs what is recorded here.\n";

static const char rest[] =
	"  # More keys to verify with: those of other nodes, and old ones.\n"
	"  #verify: [store-b.key]\n"
	"\n"
	"# Domains that may be recorded; without this list, any. \"*\" is any other.\n"
	"#domains:\n"
	"#  inventory:\n"
	"#    # Tags taken from payload or metadata at append: {TAG: PATH}.\n"
	"#    tags_from: {product: $.product_id, actor: metadata.$.actor}\n"
	"#    # Send its events to other nodes, and take theirs.\n"
	"#    propagate: true\n"
	"#    subscribe: true\n"
	"#    # To the first cluster that works, or to two at once: failover or dual.\n"
	"#    clusters: [shop]\n"
	"#    mode: failover\n"
	"#    # Its stream there, where it is made: name, copies, what it keeps.\n"
	"#    stream: ledger-inventory\n"
	"#    replicas: 3\n"
	"#    max_age: 30d\n"
	"#    max_bytes: 1GiB\n"
	"#  \"*\": {}\n"
	"\n"
	"# Stream types: the domain of their streams, a snapshot after so many events, and (later) "
	"who "
	"may write.\n"
	"#stream_types:\n"
	"#  product: {domain: inventory, owned: true, snapshot_every: 100}\n"
	"\n"
	"# NATS clusters. The lowest priority is tried first. Who we are is one of: credentials, "
	"nkey,\n"
	"# user with password_file, token_file.\n"
	"#clusters:\n"
	"#  shop:\n"
	"#    urls: [\"tls://nats-1:4222\", \"tls://nats-2:4222\"]\n"
	"#    priority: 1\n"
	"#    credentials: store-a.creds\n"
	"#    tls: {ca: ca.pem, cert: store-a.pem, key: store-a-tls.key, hostname: "
	"nats.example.org}\n"
	"#  spare:\n"
	"#    urls: [\"tls://nats.example.net:4222\"]\n"
	"#    priority: 2\n"
	"#    nkey: store-a.nk\n"
	"#  branch:\n"
	"#    urls: [\"nats://127.0.0.1:4222\"]\n"
	"#    user: store-a\n"
	"#    password_file: store-a.password\n"
	"#  lab:\n"
	"#    urls: [\"nats://127.0.0.1:4223\"]\n"
	"#    token_file: lab.token\n"
	"\n"
	"# How ledgers meet: what subjects begin with, and whether streams that are missing are "
	"made.\n"
	"#sync: {prefix: ledger, create_streams: false, claims: local}\n"
	"\n"
	"# SQL projections and handlers: who gets the events of a replay.\n"
	"#projections:\n"
	"#  stock:\n"
	"#    database: stock.db\n"
	"#    schema: stock.sql\n"
	"#    domains: [inventory]\n"
	"#    apply: {stock_adjusted: \"insert into stock values (:stream_key, "
	":payload->>'$.delta')\"}\n"
	"#handlers:\n"
	"#  low-stock:\n"
	"#    domain: inventory\n"
	"#    type: stock_adjusted\n"
	"#    schema: 1\n"
	"#    exec: [/usr/local/bin/low-stock]\n"
	"#    mode: lines\n"
	"#    start: now\n"
	"#    timeout: 10s\n"
	"#    retries: 5\n"
	"#    park_after: 10\n"
	"\n"
	"# What ledgerbox state makes of a stream's events; without it each payload is merged into "
	"the\n"
	"# state. Upcasters make the payload of schema 2 from that of schema 1.\n"
	"#reducers:\n"
	"#  product:\n"
	"#    initial: '{\"quantity\":0}'\n"
	"#    apply: {stock_adjusted: \"json_set(:state, '$.quantity', "
	":payload->>'$.quantity')\"}\n"
	"#  order: last\n"
	"#upcast:\n"
	"#  stock_adjusted: {1: \"json_set(:payload, '$.unit', 'piece')\"}\n"
	"\n"
	"# Commands that this node executes for streams it owns, each by a program; see "
	"ledgerbox-send(1).\n"
	"#commands:\n"
	"#  - {stream_type: product, command: update_price, exec: [/usr/local/bin/update-price]}\n";

void init_config_add(struct buf *out, const struct init_config *config)
{
	buf_add_text(out, head);
	add_value(out, "node: ", config->node);
	buf_add_text(out, ledger);
	add_value(out, "database: ", config->database);
	buf_add_text(out, group);
	add_value(out,
		config->group ? "group: " : "#group: ", config->group ? config->group : "ledger");
	buf_add_text(out, state);
	add_value(out, "state_dir: ", config->state_dir);
	buf_add_text(out, keys);
	add_value(out, "  sign: ", config->key);
	buf_add_text(out, rest);
}
