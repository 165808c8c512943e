# SPDX-License-Identifier: GPL-3.0-or-later
# Building and testing need Go, make and a POSIX shell; see CONTRIBUTING.md for the rest.

VERSION = $(shell sed -n 's/^const Version = "\(.*\)"/\1/p' internal/tool/tool.go)
PREFIX = /usr/local
SYSCONFDIR = /etc
DESTDIR =
FUZZTIME = 10s

COMMANDS = $(notdir $(wildcard cmd/nobodd-*))
SCRIPTS = nobodd-prep nobodd-farm
UNITS = nobodd-tftpd.service nobodd-tftpd.socket nobodd-nbdkit.service nobodd-nbdkit.socket

BINDIR = $(DESTDIR)$(PREFIX)/bin
MANDIR = $(DESTDIR)$(PREFIX)/share/man
UNITDIR = $(DESTDIR)$(PREFIX)/lib/systemd/system
SYSUSERSDIR = $(DESTDIR)$(PREFIX)/lib/sysusers.d
COMPDIR = $(DESTDIR)$(PREFIX)/share/bash-completion/completions
ZSHDIR = $(DESTDIR)$(PREFIX)/share/zsh/site-functions
FISHDIR = $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d
DOCDIR = $(DESTDIR)$(PREFIX)/share/doc/nobodd
CONFDIR = $(DESTDIR)$(SYSCONFDIR)/nobodd

# Without the tag the command line library brings a generator of manual pages that no command uses.
GOFLAGS += -trimpath -tags=urfave_cli_no_docs
export GOFLAGS

.PHONY: all build test check lint vet staticcheck format tidy race fuzz bench demo board path install \
	install-bin install-man install-conf uninstall dist deb clean

all: build

build:
	CGO_ENABLED=0 go build -buildvcs=false -ldflags '-s -w' -o bin/ ./cmd/...

# The short tier, which needs Go alone. It shares what build has compiled, and the commands.
test: build
	@echo 'The tests take about a minute on two idle processors; make check runs all of them, and the linters.'
	CGO_ENABLED=0 NOBODD_BIN='$(CURDIR)/bin' go test -short -vet=off -ldflags '-s -w' ./...

# All tests and linters; .ci/run adds a second Go and what is known of vulnerabilities.
check: build lint tidy race fuzz demo

lint: format vet staticcheck
	shellcheck $$(sh scripts/shell-files.sh)
	shellcheck -s bash scripts/completion/nobodd.bash
	mandoc -Tlint -Wwarning man/*.[1-8]

vet:
	go vet ./...

staticcheck:
	go run honnef.co/go/tools/cmd/staticcheck@v0.8.2 ./...

format:
	@files=$$(gofmt -l .) && test -z "$$files" || { echo "gofmt has something to say about" $$files >&2; exit 1; }

tidy:
	go mod tidy -diff
	go mod verify

# All tests. RACE= runs them without the race detector, which needs a C compiler. Of the commands the
# daemon alone has it built in: the others do one thing after another, their packages below internal are tested
# with it, and the tests start thousands of them. The daemon would wait a second before it exits, if
# GORACE did not say otherwise. The time of a package is bounded for a busy machine.
RACE = -race
race: build
	mkdir -p bin/race
	cp bin/nobodd-* bin/race/
	go build $(RACE) -buildvcs=false -o bin/race/ ./cmd/nobodd-tftpd
	GORACE=atexit_sleep_ms=10 NOBODD_BIN='$(CURDIR)/bin/race' go test $(RACE) -vet=off -timeout 40m ./...

# Each fuzz target of every package for FUZZTIME.
fuzz:
	sh scripts/fuzz.sh $(FUZZTIME)

# Speed and memory beside other programs; BENCH="cat tftp" runs some tables only.
bench: build
	go run ./scripts/bench $(BENCH)

# The whole story on this machine, with an image that the tests use.
demo: build
	sh scripts/demo.sh

# The whole story on a real board in an emulator, from Debian's packages to its second kernel: an hour,
# as root, with the packages that the script names. PARTS="image story" plays some of it.
board: build
	sh scripts/board.sh $(PARTS)

# The path in README.md and nobodd-netboot(7) on a machine made for it; needs root, and apt. RELEASE and
# MIRROR name another one than Debian 12.
path:
	sh scripts/path/run.sh

install: install-bin install-man install-conf

# What is built is installed, since root, who installs, may have no Go; but not what is older
# than its sources, as after a git pull.
bin/nobodd-tftpd: $(shell find cmd internal -name testdata -prune -o -name '*_test.go' -o -print) go.mod
	$(MAKE) build

# The folders are for everyone, whatever the umask.
install-bin: bin/nobodd-tftpd
	umask 022 && mkdir -p '$(BINDIR)' '$(COMPDIR)' '$(ZSHDIR)' '$(FISHDIR)'
	install -m 755 $(addprefix bin/,$(COMMANDS)) $(addprefix scripts/,$(SCRIPTS)) '$(BINDIR)'
	for c in $(COMMANDS) $(SCRIPTS); do install -m 644 scripts/completion/nobodd.bash '$(COMPDIR)'/$$c; \
		install -m 644 scripts/completion/nobodd.fish '$(FISHDIR)'/$$c.fish; done
	install -m 644 scripts/completion/nobodd.zsh '$(ZSHDIR)/_nobodd'

install-man:
	for n in 1 5 7 8; do (umask 022 && mkdir -p '$(MANDIR)'/man$$n) && install -m 644 man/*.$$n '$(MANDIR)'/man$$n; done

# A configuration that is there already stays.
install-conf:
	umask 022 && mkdir -p '$(UNITDIR)' '$(SYSUSERSDIR)' '$(CONFDIR)/conf.d' '$(CONFDIR)/exports' '$(DOCDIR)'
	for u in $(UNITS); do install -m 644 scripts/systemd/$$u '$(UNITDIR)'; done
	install -m 644 scripts/systemd/nobodd.sysusers '$(SYSUSERSDIR)/nobodd.conf'
	install -m 644 scripts/nobodd.conf README.md CHANGELOG.md '$(DOCDIR)'
	test -e '$(CONFDIR)/nobodd.conf' || install -m 644 scripts/nobodd.conf '$(CONFDIR)'

# A configuration that was changed stays.
uninstall:
	for p in $(COMMANDS) $(SCRIPTS); do rm -f '$(BINDIR)'/$$p '$(COMPDIR)'/$$p '$(FISHDIR)'/$$p.fish; done
	rm -f '$(ZSHDIR)/_nobodd'
	cd man && for n in 1 5 7 8; do for p in *.$$n; do rm -f '$(MANDIR)'/man$$n/$$p; done; done
	for u in $(UNITS); do rm -f '$(UNITDIR)'/$$u; done
	rm -f '$(SYSUSERSDIR)/nobodd.conf'
	! cmp -s scripts/nobodd.conf '$(CONFDIR)/nobodd.conf' || rm -f '$(CONFDIR)/nobodd.conf'
	rm -rf '$(DOCDIR)'
	rmdir '$(CONFDIR)/conf.d' '$(CONFDIR)/exports' '$(CONFDIR)' 2>/dev/null || :

dist:
	mkdir -p dist
	git archive --prefix=nobodd-$(VERSION)/ HEAD | gzip -9n >dist/nobodd-$(VERSION).tar.gz

deb:
	sh scripts/deb/build $(VERSION) dist

clean:
	rm -rf bin dist
