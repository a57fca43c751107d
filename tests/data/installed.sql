-- What is installed, from the events of tests/dpkg-events.
create table installed (
	package text,
	arch text,
	version text,
	status text,
	primary key (package, arch)
) strict;
