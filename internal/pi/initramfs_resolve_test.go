// SPDX-License-Identifier: GPL-3.0-or-later

package pi

import (
	"slices"
	"testing"
)

func TestResolver(t *testing.T) {
	const noDNS = "its glibc 2.31 cannot ask name servers: libnss_dns is missing"
	const noServers = "it has no etc/resolv.conf, and no script that writes one"
	conf := file("etc/resolv.conf", "search lan\nnameserver 10.0.0.1\n")
	nss := file("usr/lib/aarch64-linux-gnu/libnss_dns.so.2", "x")
	writer := file("scripts/functions", "netinfo_to_resolv_conf /etc/resolv.conf \\\n")
	for _, tt := range []struct {
		name    string
		entries []entry
		libc    string
		why     string // "" if names are found
	}{
		{"glibc before 2.34", []entry{glibc("2.31"), conf}, "glibc 2.31", noDNS},
		{"glibc before 2.34 with libnss_dns", []entry{glibc("2.31"), nss, conf}, "glibc 2.31", ""},
		{"libnss_dns as a link", []entry{glibc("2.31"), symlink("lib/libnss_dns.so.2", "libnss_dns-2.31.so"), file("lib/libnss_dns-2.31.so", "x"), conf}, "glibc 2.31", ""},
		{"libnss_dns as a broken link", []entry{glibc("2.31"), symlink("lib/libnss_dns.so.2", "libnss_dns-2.31.so"), conf}, "glibc 2.31", noDNS},
		{"glibc 2.33", []entry{glibc("2.33"), conf}, "glibc 2.33", "its glibc 2.33 cannot ask name servers: libnss_dns is missing"},
		{"glibc 2.34", []entry{glibc("2.34"), conf}, "glibc 2.34", ""},
		{"glibc 3.0", []entry{glibc("3.0"), conf}, "glibc 3.0", ""},
		{"named by its version", []entry{file("lib/libc-2.31.so", "GNU C Library stable release version 2.31, by"), symlink("lib/libc.so.6", "libc-2.31.so"), conf},
			"glibc 2.31", noDNS},
		{"a development release", []entry{file("lib/libc.so.6", "GNU C Library (GNU libc) development release version 2.41.9000."), conf}, "glibc 2.41.9000", ""},
		{"musl", []entry{file("lib/ld-musl-aarch64.so.1", "x"), conf}, "musl", ""},
		{"uClibc", []entry{file("lib/libuClibc-1.0.45.so", "x"), conf}, "uClibc", ""},
		{"no libc, a static client", []entry{client, conf}, "", ""},
		{"no resolv.conf", []entry{glibc("2.36")}, "glibc 2.36", noServers},
		{"a resolv.conf without name servers", []entry{glibc("2.36"), file("etc/resolv.conf", "#empty\n")}, "glibc 2.36", noServers},
		{"musl without resolv.conf", []entry{file("lib/ld-musl-aarch64.so.1", "x")}, "musl", noServers},
		{"resolv.conf as a link", []entry{glibc("2.36"), symlink("etc/resolv.conf", "../run/r"), file("run/r", "nameserver 10.0.0.1\n")}, "glibc 2.36", noServers},
		{"resolv.conf of the kernel", []entry{glibc("2.36"), symlink("etc/resolv.conf", "/proc/net/pnp")}, "glibc 2.36", ""},
		{"a script that writes one", []entry{glibc("2.36"), writer}, "glibc 2.36", ""},
		{"systemd-resolved", []entry{glibc("2.36"), file("usr/lib/systemd/systemd-resolved", "x")}, "glibc 2.36", ""},
		{"NetworkManager", []entry{glibc("2.36"), file("usr/sbin/NetworkManager", "x")}, "glibc 2.36", ""},
		{"an empty NetworkManager", []entry{glibc("2.36"), file("usr/sbin/NetworkManager", "")}, "glibc 2.36", noServers},
		{"a bare initramfs-tools", append([]entry{glibc("2.36")}, toolsEntries...), "glibc 2.36", noServers},
		{"in etc/hosts", []entry{glibc("2.31"), file("etc/hosts", "127.0.0.1 localhost\n10.0.0.1\tother SERVER # mine\n")}, "glibc 2.31", ""},
		{"only an address in etc/hosts", []entry{glibc("2.31"), conf, file("etc/hosts", "server\n# 10.0.0.1 server\n")}, "glibc 2.31", noDNS},
	} {
		in := mustRead(t, newc(tt.entries...))
		ok, why := in.CanResolve("server")
		if in.Libc != tt.libc || why != tt.why || ok != (tt.why == "") {
			t.Errorf("%s: %q, %v, %q; want %q, %q", tt.name, in.Libc, ok, why, tt.libc, tt.why)
		}
	}
}

func TestResolverSays(t *testing.T) {
	in := mustRead(t, newc(file("etc/resolv.conf", "nameserver 10.0.0.1"), file("etc/hosts", "::1 localhost ip6-localhost\n10.0.0.1 server")))
	if in.Servers != "etc/resolv.conf" || !slices.Equal(in.Hosts, []string{"localhost", "ip6-localhost", "server"}) {
		t.Errorf("%q, %q", in.Servers, in.Hosts)
	}
}

func TestScriptWritesResolvConf(t *testing.T) {
	for line, want := range map[string]bool{
		"echo nameserver 10.0.0.1 > /etc/resolv.conf":           true,
		"echo nameserver 10.0.0.1 >/etc/resolv.conf":            true,
		`RESOLV_CONF="/etc/resolv.conf"`:                        true,
		"mv /tmp/r /etc/resolv.conf":                            true,
		"netinfo_to_resolv_conf /etc/resolv.conf /run/net.conf": true,
		"cp /run/r ${rootmnt}/etc/resolv.conf":                  false,
		`cp /run/r "$NEWROOT"/etc/resolv.conf`:                  false,
		"awk 1 > /run/initramfs/state/etc/resolv.conf":          false,
		"  # echo > /etc/resolv.conf":                           false,
		"echo nameserver $s >> /tmp/net.$netif.resolv.conf":     false,
		"echo nothing": false,
		`inst_simple "$systemdutildir"/resolv.conf # /lib/resolv.conf`: false,
	} {
		if got := readScript("init", []byte("#!/bin/sh\n"+line+"\n"))&writesResolve != 0; got != want {
			t.Errorf("%s: %v", line, got)
		}
	}
}
