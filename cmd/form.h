/*
 * The forms that a text in the config, the environment or a flag may have to have: a name, a
 * duration, a URL … Each form is one function; the rows of settings.c name it together with its
 * range.
 */
#ifndef CMD_FORM_H
#define CMD_FORM_H

#include "../lib/ledger.h"

struct form;

/* LEDGER_USAGE says what is wrong ("'a b' is not a name"), the caller says where. *number is what a
 * number, duration (µs), size (bytes) or boolean comes to; others leave it alone. */
typedef enum ledger_status form_fn(
	struct slice text, const struct form *form, uint64_t *number, struct ledger_error *err);

struct form {
	form_fn *check;		    /* NULL: none */
	uint64_t min, max;	    /* of numbers, inclusive */
	const char *range;	    /* the same for people: "1ms to 1h" */
	const char *const *choices; /* of form_choice, NULL at the end */
};

form_fn form_token;	 /* node, stream type, tag: [A-Za-z0-9_-]{1,64} */
form_fn form_node;	 /* a token other than localhost */
form_fn form_domain;	 /* a token or "*" */
form_fn form_event_type; /* [A-Za-z0-9_.:-]{1,128} or "*" */
form_fn form_text;	 /* anything printable, lines too: an SQL expression */
form_fn form_json;	 /* one JSON value */
form_fn form_label;	 /* any line: a name that a later part gives meaning to */
form_fn form_path;	 /* a file or folder */
form_fn form_group;	 /* a group of the system */
form_fn form_host;	 /* a host name as in a certificate */
form_fn form_url;	 /* nats:// or tls://, [user[:password]@]host[:port] */
form_fn form_tag_path;	 /* $.a.b, metadata.$.a */
form_fn form_key_hex;	 /* 64 hex digits; never shown */
form_fn form_bool;	 /* true or false */
form_fn form_number;	 /* digits */
form_fn form_duration;	 /* "5s" */
form_fn form_size;	 /* "64KiB" */
form_fn form_choice;

/* A text as an error shows it: escaped, cut where it is long, passwords in URLs hidden. Returns
 * `out`. */
#define FORM_EXCERPT_MAX 64
const char *form_excerpt(struct slice text, char out[FORM_EXCERPT_MAX]);

/* Adds a text with the secrets of URLs in it as ***: the password of user:password@, or all
 * before the @ where there is no colon (a token of NATS). */
void form_add_hidden(struct buf *out, struct slice text);

/* Looks for the name nearest in spelling: begin with { .typed = … }, try each, then see `best`. */
struct nearest {
	struct slice typed;
	const char *best; /* NULL: none is near */
	unsigned distance;
};
void nearest_try(struct nearest *nearest, const char *word);

#endif
