# SPDX-License-Identifier: GPL-3.0-or-later
# Building and testing need Go, make and a POSIX shell; see CONTRIBUTING.md for the rest.

VERSION = 0.1.0
PREFIX = /usr/local
SYSCONFDIR = /etc
DESTDIR =
FUZZTIME = 10s

COMMANDS = nobodd-cat nobodd-cp nobodd-ls nobodd-resize nobodd-rm nobodd-tftpd
PROGRAMS = bin/nobodd-* scripts/nobodd-prep
UNITS = nobodd-tftpd.service nobodd-tftpd.socket

BINDIR = $(DESTDIR)$(PREFIX)/bin
MANDIR = $(DESTDIR)$(PREFIX)/share/man
UNITDIR = $(DESTDIR)$(PREFIX)/lib/systemd/system
SYSUSERSDIR = $(DESTDIR)$(PREFIX)/lib/sysusers.d
COMPDIR = $(DESTDIR)$(PREFIX)/share/bash-completion/completions
DOCDIR = $(DESTDIR)$(PREFIX)/share/doc/nobodd
CONFDIR = $(DESTDIR)$(SYSCONFDIR)/nobodd

.PHONY: all build test check lint staticcheck format tidy race fuzz bench demo install \
	install-bin install-man install-conf uninstall dist deb clean

all: build

build:
	CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags '-s -w -X nobodd/internal/tool.Version=$(VERSION)' -o bin/ ./cmd/...

test:
	go test ./...

# All that CI runs.
check: build lint tidy race fuzz demo

lint: format staticcheck
	go vet ./...
	shellcheck $$(sh scripts/shell-files.sh)
	shellcheck -s bash scripts/completion/nobodd.bash
	mandoc -Tlint -Wwarning man/*.[1-8]

staticcheck:
	go run honnef.co/go/tools/cmd/staticcheck@v0.8.2 ./...

format:
	@files=$$(gofmt -l .) && test -z "$$files" || { echo "gofmt has something to say about" $$files >&2; exit 1; }

tidy:
	go mod tidy -diff
	go mod verify

race:
	go test -race ./...

# Each fuzz target of every package for FUZZTIME.
fuzz:
	sh scripts/fuzz.sh $(FUZZTIME)

# Speed and memory beside other programs; BENCH="cat tftp" runs some tables only.
bench: build
	go run ./scripts/bench $(BENCH)

# The whole story on this machine, with an image that the tests use.
demo: build
	sh scripts/demo.sh

install: install-bin install-man install-conf

# What is built is installed: root, who installs, may have no Go.
install-bin:
	test -x bin/nobodd-tftpd || $(MAKE) build
	mkdir -p '$(BINDIR)' '$(COMPDIR)'
	install -m 755 $(PROGRAMS) '$(BINDIR)'
	for c in $(COMMANDS) nobodd-prep; do install -m 644 scripts/completion/nobodd.bash '$(COMPDIR)'/$$c; done

install-man:
	for n in 1 5 7 8; do mkdir -p '$(MANDIR)'/man$$n && install -m 644 man/*.$$n '$(MANDIR)'/man$$n; done

# A configuration that is there already stays.
install-conf:
	mkdir -p '$(UNITDIR)' '$(SYSUSERSDIR)' '$(CONFDIR)/conf.d' '$(DOCDIR)'
	for u in $(UNITS); do install -m 644 scripts/systemd/$$u '$(UNITDIR)'; done
	install -m 644 scripts/systemd/nobodd.sysusers '$(SYSUSERSDIR)/nobodd.conf'
	install -m 644 scripts/nobodd.conf README.md CHANGELOG.md '$(DOCDIR)'
	test -e '$(CONFDIR)/nobodd.conf' || install -m 644 scripts/nobodd.conf '$(CONFDIR)'

# A configuration that was changed stays.
uninstall:
	for p in $(COMMANDS) nobodd-prep; do rm -f '$(BINDIR)'/$$p '$(COMPDIR)'/$$p; done
	cd man && for n in 1 5 7 8; do for p in *.$$n; do rm -f '$(MANDIR)'/man$$n/$$p; done; done
	for u in $(UNITS); do rm -f '$(UNITDIR)'/$$u; done
	rm -f '$(SYSUSERSDIR)/nobodd.conf'
	! cmp -s scripts/nobodd.conf '$(CONFDIR)/nobodd.conf' || rm -f '$(CONFDIR)/nobodd.conf'
	rm -rf '$(DOCDIR)'
	rmdir '$(CONFDIR)/conf.d' '$(CONFDIR)' 2>/dev/null || :

dist:
	mkdir -p dist
	git archive --prefix=nobodd-$(VERSION)/ HEAD | gzip -9n >dist/nobodd-$(VERSION).tar.gz

deb:
	sh scripts/deb/build $(VERSION) dist

clean:
	rm -rf bin dist
