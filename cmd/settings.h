/*
 * What is in force: defaults < YAML < environment < flags (design section 4). Read once by main
 * before a command that needs it. Paths from the YAML file are relative to it and absolute here or
 * relative to the working folder.
 */
#ifndef CMD_SETTINGS_H
#define CMD_SETTINGS_H

#include "../lib/ledger.h"
#include "../lib/replay.h"
#include "../lib/fold.h"
#include "../lib/send.h"

/* tags_from: {name: path}: a tag `name:value` is taken from payload or metadata at append. */
struct tag_source {
	const char *name; /* the tag's token */
	const char *path; /* "$.product_id", "$.order.id"; "metadata.$.actor"; see config(5) */
};

struct domain_settings {
	const char *name; /* "*": any other */
	struct tag_source *tags_from;
	size_t n_tags_from;

	/* Where it goes; nowhere by default. */
	bool propagate, subscribe;
	const char **clusters;
	size_t n_clusters;  /* 0: all */
	bool dual;	    /* to the first two clusters at once; else to the first that works */
	const char *stream; /* NULL: made of sync_prefix and the domain */
	uint64_t replicas;  /* 1 to 5 */
	uint64_t max_age;   /* µs; 0: no limit */
	uint64_t max_bytes; /* 0: no limit */
};

/* A cluster of NATS servers, and what a connection to it takes: see struct link_options. */
struct cluster_settings {
	const char *name;
	const char **urls;
	size_t n_urls;	   /* 0: none known */
	uint64_t priority; /* 1 to 1000; the lowest first, of equals the first listed */
	/* Paths, and one name; at most one kind of credentials. */
	const char *credentials, *nkey, *user, *password_file, *token_file;
	const char *tls_ca, *tls_cert, *tls_key, *tls_hostname;
};

struct stream_type_settings {
	const char *name;
	const char *domain; /* NULL: none given */
	bool owned;
	uint64_t snapshot_every;
};

struct settings {
	const char *config; /* the file that was read; NULL: none */
	const char *node; /* NULL: as the ledger says. A config's node does not apply to a database
			   * that is not the config's, unless --config is given */
	const char *database; /* "ledger.db" by default */
	const char *group;
	const char *state_dir;	  /* settings_default_state_dir() by default; NULL: none */
	const char *sign_key;	  /* "ledger.key" by default; NULL with sign_key_hex */
	const char *sign_key_hex; /* from LEDGER_HMAC_KEY; NULL: none */
	const char **verify_keys;
	size_t n_verify_keys;
	uint64_t timeout; /* µs, 5 s by default */
	struct domain_settings *domains;
	size_t n_domains; /* 0: any domain is taken */
	struct stream_type_settings *stream_types;
	size_t n_stream_types;
	struct ledger_owned *owned; /* those of them that are */
	size_t n_owned;
	const char *folder; /* of the config, where its programs run; NULL: the working folder */
	struct ledger_handler *handlers;
	size_t n_handlers;
	struct ledger_projection *projections; /* their schema is read by consumers_load */
	const char **schemas;		       /* its files; NULL: none */
	size_t n_projections;
	struct ledger_command_handler *commands;
	size_t n_commands;
	struct ledger_rules rules;	   /* reducers and upcasters */
	struct cluster_settings *clusters; /* in the order in which they are tried */
	size_t n_clusters;
	const char *sync_prefix;      /* a token, "ledger" by default */
	uint64_t sync_create_streams; /* 1: streams that are missing are made */
	const char *sync_claims;      /* "local" or "strict" */
};

extern struct settings settings;

/* What the flags said; NULL or not given: nothing. Bound to rows of common_opts. */
#define SETTINGS_NOT_GIVEN UINT64_MAX
struct settings_flags {
	const char *config;
	const char *database;
	const char *key_file;
	const char *state_dir;
	const char *node;
	uint64_t timeout; /* µs; SETTINGS_NOT_GIVEN: not given */
};
extern struct settings_flags flags;

/* Reads all sources into `settings`. LEDGER_USAGE: "ledger.yaml:12:3: unknown key 'databse'"; a
 * config that may not be read is LEDGER_REFUSED. A key in the environment is warned about. */
enum ledger_status settings_read(struct ledger_error *err);

/* Are the files that only the daemon reads, of clusters, there and private? LEDGER_USAGE,
 * LEDGER_REFUSED with the place in the config. */
enum ledger_status settings_check_files(struct ledger_error *err);

/* Forgets everything; may be called twice, or without settings_read. */
void settings_done(void);

/* Calls `fn` for every setting: its dotted key, its value as text (NULL: none; passwords in URLs
 * hidden), and where it came from ("default", "ledger.yaml:3", "environment LEDGER_DB_PATH",
 * "--database"). The texts are valid for that call. */
void settings_each(
	void (*fn)(const char *key, const char *value, const char *source, void *context),
	void *context);

/* The state folder where none is configured: $XDG_STATE_HOME/ledgerbox, for root
 * /var/lib/ledgerbox, else ~/.local/state/ledgerbox. NULL without a home. Valid until
 * settings_done. */
const char *settings_default_state_dir(void);

/* The settings of a domain: its own, else "*". NULL where `domains:` names neither; a domain
 * beginning with "_" is reserved and always taken. */
const struct domain_settings *settings_domain(struct slice name);

/* The settings of a stream's type; NULL where `stream_types:` does not name it. */
const struct stream_type_settings *settings_stream_type(struct slice stream);

/* The listed domain nearest in spelling, for a suggestion; NULL without one near. */
const char *settings_nearest_domain(struct slice name);

#endif
