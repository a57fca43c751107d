-- The ledger file, version 1 (user_version). Facts are insert-only: triggers refuse UPDATE, DELETE
-- and REPLACE. What changes lives in `seal`, `stream`, `owner`, `cursor`, `quarantine`, `published`, `received`
-- and `peer`. Short integers stand for the words that
-- repeat in every event; the view `events` puts them together again for people.

CREATE TABLE domain (
	id INTEGER PRIMARY KEY,
	name TEXT NOT NULL UNIQUE
) STRICT;

CREATE TABLE chain (
	id INTEGER PRIMARY KEY,
	origin TEXT NOT NULL,
	epoch INTEGER NOT NULL,
	domain INTEGER NOT NULL,
	UNIQUE (origin, epoch, domain)
) STRICT;

CREATE TABLE signing_key (
	id INTEGER PRIMARY KEY,
	name TEXT NOT NULL UNIQUE
) STRICT;

CREATE TABLE event (
	position INTEGER PRIMARY KEY,
	chain INTEGER NOT NULL,
	sequence INTEGER NOT NULL,
	domain INTEGER NOT NULL,
	id BLOB NOT NULL,
	stream TEXT,
	version INTEGER NOT NULL,
	type TEXT NOT NULL,
	schema INTEGER NOT NULL,
	clock INTEGER NOT NULL,
	time INTEGER NOT NULL,
	tags TEXT,
	signing_key INTEGER NOT NULL,
	salt BLOB,
	prev BLOB NOT NULL,
	hash BLOB NOT NULL,
	mac BLOB NOT NULL,
	body BLOB,
	metadata TEXT,
	payload TEXT
) STRICT;

CREATE INDEX event_id ON event (id);
CREATE UNIQUE INDEX event_chain ON event (chain, sequence);
CREATE INDEX event_type ON event (type);

-- Which events a word leads to: their stream "type/key", each tag "name:value", and the correlation id
-- as "@correlation:ID". Kept by block of 32768 positions (block = position / 32768): what is appended
-- touches the pages of the newest block only, however many words and events there are.
CREATE TABLE term (
	block INTEGER NOT NULL,
	term TEXT NOT NULL,
	position INTEGER NOT NULL,
	PRIMARY KEY (block, term, position)
) WITHOUT ROWID, STRICT;

-- The highest version of each stream.
CREATE TABLE stream (
	stream TEXT NOT NULL,
	domain INTEGER NOT NULL,
	version INTEGER NOT NULL,
	PRIMARY KEY (stream, domain)
) WITHOUT ROWID, STRICT;

-- Every 1024 positions: link(position), so that a range can be verified by itself, and the span of
-- `time` in those 1024 events, so that a search by time skips what cannot match.
CREATE TABLE mark (
	position INTEGER PRIMARY KEY,
	link BLOB NOT NULL,
	min_time INTEGER NOT NULL,
	max_time INTEGER NOT NULL
) STRICT;

-- One row: how far this file has come, and which file it is.
CREATE TABLE seal (
	id INTEGER PRIMARY KEY CHECK (id = 1),
	node TEXT NOT NULL,
	epoch INTEGER NOT NULL,
	position INTEGER NOT NULL,
	clock INTEGER NOT NULL,
	link BLOB NOT NULL,
	inode INTEGER NOT NULL,
	birth INTEGER NOT NULL,
	signing_key TEXT NOT NULL,
	mac BLOB NOT NULL
) STRICT;

CREATE TABLE cursor (
	name TEXT PRIMARY KEY,
	position INTEGER NOT NULL,
	hash BLOB NOT NULL,
	updated INTEGER NOT NULL
) WITHOUT ROWID, STRICT;

-- States of streams (ledgerbox-snapshot(1)): kept to be faster, signed, and thrown away freely.
CREATE TABLE snapshot (
	id INTEGER PRIMARY KEY,
	stream TEXT NOT NULL,
	domain TEXT NOT NULL,
	position INTEGER NOT NULL,
	last INTEGER NOT NULL,
	events INTEGER NOT NULL,
	version INTEGER NOT NULL,
	max_time INTEGER NOT NULL,
	hash BLOB NOT NULL,
	reducer BLOB NOT NULL,
	schema INTEGER NOT NULL,
	epoch INTEGER NOT NULL,
	taken INTEGER NOT NULL,
	digest BLOB NOT NULL,
	signing_key TEXT NOT NULL,
	mac BLOB NOT NULL,
	state TEXT NOT NULL,
	UNIQUE (stream, domain, position DESC)
) STRICT;

-- What handlers could not take (see replay.h): an event, and the later ones of its stream behind it.
CREATE TABLE parked (
	handler TEXT NOT NULL,
	position INTEGER NOT NULL,
	domain TEXT NOT NULL,
	stream TEXT,
	hash BLOB NOT NULL,
	failures INTEGER NOT NULL,
	reason TEXT NOT NULL,
	since INTEGER NOT NULL,
	PRIMARY KEY (handler, position)
) WITHOUT ROWID, STRICT;

CREATE INDEX parked_stream ON parked (handler, domain, stream);

-- The event before which a handler stands, and how often it has failed there.
CREATE TABLE failing (
	handler TEXT PRIMARY KEY,
	position INTEGER NOT NULL,
	failures INTEGER NOT NULL,
	reason TEXT NOT NULL,
	updated INTEGER NOT NULL
) WITHOUT ROWID, STRICT;

-- Branches beside forked chains: verified events whose place another one has in `event`, what follows
-- them, and what waits to continue a forked chain; each line as it was received. Facts too. `root` is
-- the hash of the first event of its branch.
CREATE TABLE branch (
	id INTEGER PRIMARY KEY,
	chain INTEGER NOT NULL,
	sequence INTEGER NOT NULL,
	hash BLOB NOT NULL,
	prev BLOB NOT NULL,
	root BLOB NOT NULL,
	received INTEGER NOT NULL,
	line TEXT NOT NULL
) STRICT;

CREATE UNIQUE INDEX branch_place ON branch (chain, sequence, hash);
CREATE INDEX branch_root ON branch (root, sequence);
CREATE INDEX branch_first ON branch (chain, sequence, hash) WHERE root = hash;

-- Branches that an operator has decided about: where the event `fork_settled` stands.
CREATE TABLE settlement (
	root BLOB PRIMARY KEY,
	position INTEGER NOT NULL
) WITHOUT ROWID, STRICT;

-- What the events of domain _ownership say, those of branches too (see owner.h), by stream and by what
-- each follows; a claim follows x''. Facts.
CREATE TABLE ownership (
	stream TEXT NOT NULL,
	domain TEXT NOT NULL,
	follows BLOB NOT NULL,
	clock INTEGER NOT NULL,
	origin TEXT NOT NULL,
	epoch INTEGER NOT NULL,
	sequence INTEGER NOT NULL,
	hash BLOB NOT NULL,
	kind INTEGER NOT NULL,
	next TEXT,
	expires INTEGER NOT NULL,
	heads TEXT,
	PRIMARY KEY (stream, domain, follows, clock, origin, epoch, sequence, hash)
) WITHOUT ROWID, STRICT;

CREATE UNIQUE INDEX ownership_hash ON ownership (hash);

-- What follows from them: who may write to a stream.
CREATE TABLE owner (
	stream TEXT NOT NULL,
	domain TEXT NOT NULL,
	node TEXT NOT NULL,
	state INTEGER NOT NULL,
	next TEXT,
	expires INTEGER NOT NULL,
	clock INTEGER NOT NULL,
	line BLOB NOT NULL,
	hash BLOB NOT NULL,
	moved INTEGER NOT NULL,
	contested INTEGER NOT NULL,
	PRIMARY KEY (stream, domain)
) WITHOUT ROWID, STRICT;

CREATE INDEX owner_pending ON owner (state, expires) WHERE state > 1;
CREATE INDEX owner_contested ON owner (contested, stream, domain) WHERE contested > 0;

-- Received and refused, kept for an operator. The place is what the bytes claim.
CREATE TABLE quarantine (
	id INTEGER PRIMARY KEY,
	digest BLOB NOT NULL UNIQUE,
	source TEXT NOT NULL,
	reason TEXT NOT NULL,
	text TEXT NOT NULL,
	origin TEXT,
	epoch INTEGER,
	domain TEXT,
	sequence INTEGER,
	first INTEGER NOT NULL,
	last INTEGER NOT NULL,
	times INTEGER NOT NULL,
	state TEXT NOT NULL,
	size INTEGER NOT NULL,
	bytes BLOB NOT NULL
) STRICT;

CREATE INDEX quarantine_source ON quarantine (state, source, size);
CREATE INDEX quarantine_place ON quarantine (origin, epoch, domain, sequence) WHERE state = 'open';

-- What a source sent beyond what is kept of it.
CREATE TABLE dropped (
	source TEXT PRIMARY KEY,
	messages INTEGER NOT NULL,
	last INTEGER NOT NULL
) WITHOUT ROWID, STRICT;

-- How far a cluster has acknowledged a chain, and how far its streams were received.
CREATE TABLE published (
	cluster TEXT NOT NULL,
	chain INTEGER NOT NULL,
	sequence INTEGER NOT NULL,
	updated INTEGER NOT NULL,
	PRIMARY KEY (cluster, chain)
) WITHOUT ROWID, STRICT;

CREATE TABLE received (
	cluster TEXT NOT NULL,
	domain TEXT NOT NULL,
	created INTEGER NOT NULL,
	sequence INTEGER NOT NULL,
	updated INTEGER NOT NULL,
	PRIMARY KEY (cluster, domain)
) WITHOUT ROWID, STRICT;

-- The last statement of each other node, and the heads that it and earlier ones named.
CREATE TABLE peer (
	node TEXT PRIMARY KEY,
	epoch INTEGER NOT NULL,
	counter INTEGER NOT NULL,
	time INTEGER NOT NULL
) WITHOUT ROWID, STRICT;

-- Runs of other nodes' daemons, and the counter of the last statement of each: the newest few.
CREATE TABLE peer_run (
	node TEXT NOT NULL,
	boot INTEGER NOT NULL,
	counter INTEGER NOT NULL,
	run INTEGER NOT NULL, -- counts them, as they were first heard of
	PRIMARY KEY (node, boot)
) WITHOUT ROWID, STRICT;

CREATE TABLE peer_head (
	node TEXT NOT NULL,
	origin TEXT NOT NULL,
	epoch INTEGER NOT NULL,
	domain TEXT NOT NULL,
	sequence INTEGER NOT NULL,
	hash BLOB NOT NULL,
	sender_epoch INTEGER NOT NULL,
	counter INTEGER NOT NULL,
	time INTEGER NOT NULL,
	PRIMARY KEY (node, origin, epoch, domain)
) WITHOUT ROWID, STRICT;

-- Answers to commands, so that one sent twice is executed once; digest: SHA-256 of its content. Without a
-- sender: it was executed. Else what this sender sent with that id, up to this counter, was refused.
CREATE TABLE command (
	id BLOB NOT NULL,
	sender TEXT NOT NULL,
	counter INTEGER NOT NULL,
	digest BLOB NOT NULL,
	answer TEXT NOT NULL,
	forget INTEGER NOT NULL,
	PRIMARY KEY (id, sender)
) WITHOUT ROWID, STRICT;

CREATE INDEX command_forget ON command (forget);

-- Commands that were sent from here and have no answer yet.
CREATE TABLE sent (
	id BLOB PRIMARY KEY,
	node TEXT NOT NULL,
	stream TEXT NOT NULL,
	name TEXT NOT NULL,
	time INTEGER NOT NULL,
	expires INTEGER NOT NULL,
	forget INTEGER NOT NULL
) WITHOUT ROWID, STRICT;

CREATE INDEX sent_forget ON sent (forget);

CREATE TABLE command_count (
	what TEXT PRIMARY KEY,
	number INTEGER NOT NULL,
	last INTEGER NOT NULL
) WITHOUT ROWID, STRICT;

CREATE TRIGGER event_no_update BEFORE UPDATE ON event
BEGIN SELECT RAISE(ABORT, 'events are never changed'); END;
CREATE TRIGGER event_no_delete BEFORE DELETE ON event
BEGIN SELECT RAISE(ABORT, 'events are never deleted'); END;
CREATE TRIGGER event_no_replace BEFORE INSERT ON event
WHEN new.position <= (SELECT position FROM seal)
	OR EXISTS (SELECT 1 FROM event WHERE chain = new.chain AND sequence = new.sequence)
BEGIN SELECT RAISE(ABORT, 'events are only added at the end'); END;

CREATE TRIGGER term_no_update BEFORE UPDATE ON term
BEGIN SELECT RAISE(ABORT, 'terms are never changed'); END;
CREATE TRIGGER term_no_delete BEFORE DELETE ON term
BEGIN SELECT RAISE(ABORT, 'terms are never deleted'); END;

CREATE TRIGGER stream_no_update BEFORE UPDATE ON stream
WHEN new.stream <> old.stream OR new.domain <> old.domain OR new.version <= old.version
BEGIN SELECT RAISE(ABORT, 'versions only grow'); END;
CREATE TRIGGER stream_no_delete BEFORE DELETE ON stream
BEGIN SELECT RAISE(ABORT, 'streams are never deleted'); END;
CREATE TRIGGER stream_no_replace BEFORE INSERT ON stream
WHEN EXISTS (SELECT 1 FROM stream WHERE stream = new.stream AND domain = new.domain)
BEGIN SELECT RAISE(ABORT, 'versions only grow'); END;

CREATE TRIGGER mark_no_update BEFORE UPDATE ON mark
BEGIN SELECT RAISE(ABORT, 'marks are never changed'); END;
CREATE TRIGGER mark_no_delete BEFORE DELETE ON mark
BEGIN SELECT RAISE(ABORT, 'marks are never deleted'); END;
CREATE TRIGGER mark_no_replace BEFORE INSERT ON mark
WHEN EXISTS (SELECT 1 FROM mark WHERE position = new.position)
BEGIN SELECT RAISE(ABORT, 'marks are never changed'); END;

CREATE TRIGGER chain_no_update BEFORE UPDATE ON chain
BEGIN SELECT RAISE(ABORT, 'chains are never changed'); END;
CREATE TRIGGER chain_no_delete BEFORE DELETE ON chain
BEGIN SELECT RAISE(ABORT, 'chains are never deleted'); END;
CREATE TRIGGER chain_no_replace BEFORE INSERT ON chain
WHEN EXISTS (SELECT 1 FROM chain WHERE id = new.id
	OR (origin = new.origin AND epoch = new.epoch AND domain = new.domain))
BEGIN SELECT RAISE(ABORT, 'chains are never changed'); END;

CREATE TRIGGER domain_no_update BEFORE UPDATE ON domain
BEGIN SELECT RAISE(ABORT, 'domains are never changed'); END;
CREATE TRIGGER domain_no_delete BEFORE DELETE ON domain
BEGIN SELECT RAISE(ABORT, 'domains are never deleted'); END;
CREATE TRIGGER domain_no_replace BEFORE INSERT ON domain
WHEN EXISTS (SELECT 1 FROM domain WHERE id = new.id OR name = new.name)
BEGIN SELECT RAISE(ABORT, 'domains are never changed'); END;

CREATE TRIGGER signing_key_no_update BEFORE UPDATE ON signing_key
BEGIN SELECT RAISE(ABORT, 'keys are never changed'); END;
CREATE TRIGGER signing_key_no_delete BEFORE DELETE ON signing_key
BEGIN SELECT RAISE(ABORT, 'keys are never deleted'); END;
CREATE TRIGGER signing_key_no_replace BEFORE INSERT ON signing_key
WHEN EXISTS (SELECT 1 FROM signing_key WHERE id = new.id OR name = new.name)
BEGIN SELECT RAISE(ABORT, 'keys are never changed'); END;

CREATE TRIGGER branch_no_update BEFORE UPDATE ON branch
BEGIN SELECT RAISE(ABORT, 'branches are never changed'); END;
CREATE TRIGGER branch_no_delete BEFORE DELETE ON branch
BEGIN SELECT RAISE(ABORT, 'branches are never deleted'); END;
CREATE TRIGGER branch_no_replace BEFORE INSERT ON branch
WHEN EXISTS (SELECT 1 FROM branch WHERE id = new.id
	OR (chain = new.chain AND sequence = new.sequence AND hash = new.hash))
BEGIN SELECT RAISE(ABORT, 'branches are never changed'); END;

CREATE TRIGGER ownership_no_update BEFORE UPDATE ON ownership
BEGIN SELECT RAISE(ABORT, 'ownership events are never changed'); END;
CREATE TRIGGER ownership_no_delete BEFORE DELETE ON ownership
BEGIN SELECT RAISE(ABORT, 'ownership events are never deleted'); END;
CREATE TRIGGER ownership_no_replace BEFORE INSERT ON ownership
WHEN EXISTS (SELECT 1 FROM ownership WHERE hash = new.hash)
BEGIN SELECT RAISE(ABORT, 'ownership events are never changed'); END;

CREATE TRIGGER settlement_no_update BEFORE UPDATE ON settlement
BEGIN SELECT RAISE(ABORT, 'settlements are never changed'); END;
CREATE TRIGGER settlement_no_delete BEFORE DELETE ON settlement
BEGIN SELECT RAISE(ABORT, 'settlements are never deleted'); END;
CREATE TRIGGER settlement_no_replace BEFORE INSERT ON settlement
WHEN EXISTS (SELECT 1 FROM settlement WHERE root = new.root)
BEGIN SELECT RAISE(ABORT, 'settlements are never changed'); END;

CREATE TRIGGER seal_no_delete BEFORE DELETE ON seal
BEGIN SELECT RAISE(ABORT, 'the seal is never deleted'); END;
CREATE TRIGGER seal_no_replace BEFORE INSERT ON seal
WHEN EXISTS (SELECT 1 FROM seal)
BEGIN SELECT RAISE(ABORT, 'there is one seal'); END;

CREATE VIEW events AS
SELECT event.position,
	lower(substr(hex(event.id), 1, 8) || '-' || substr(hex(event.id), 9, 4) || '-'
		|| substr(hex(event.id), 13, 4) || '-' || substr(hex(event.id), 17, 4) || '-'
		|| substr(hex(event.id), 21)) AS id,
	chain.origin, chain.epoch, domain.name AS domain, event.sequence,
	event.stream, event.version, event.type, event.schema,
	strftime('%Y-%m-%dT%H:%M:%S', event.clock / 1000000, 'unixepoch')
		|| printf('.%06dZ', event.clock % 1000000) AS clock,
	strftime('%Y-%m-%dT%H:%M:%S', event.time / 1000000, 'unixepoch')
		|| printf('.%06dZ', event.time % 1000000) AS time,
	event.tags, event.payload, event.metadata,
	lower(hex(event.salt)) AS salt, lower(hex(event.prev)) AS prev, lower(hex(event.hash)) AS hash,
	signing_key.name AS key, lower(hex(event.mac)) AS mac
FROM event
	JOIN chain ON chain.id = event.chain
	JOIN domain ON domain.id = chain.domain
	JOIN signing_key ON signing_key.id = event.signing_key;
