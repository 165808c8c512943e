// SPDX-License-Identifier: GPL-3.0-or-later

package pi

import (
	"path"
	"slices"
	"strconv"
	"strings"
)

// Resolver is how an initramfs finds the addresses of host names.
type Resolver struct {
	Libc    string   // "glibc 2.36", "musl", "uClibc", or "" if there is none that is known
	DNS     bool     // its C library can ask name servers, or it is not known that it cannot
	Servers string   // the name of the resolv.conf inside, or of what writes one; "" if there is none
	Hosts   []string // names in etc/hosts
}

// CanResolve reports whether the initramfs can find the address of a host name, and if
// not, why, as in "its glibc 2.31 cannot ask name servers: libnss_dns is missing".
func (r Resolver) CanResolve(host string) (bool, string) {
	for _, name := range r.Hosts {
		if strings.EqualFold(name, host) {
			return true, ""
		}
	}
	switch {
	case !r.DNS:
		return false, "its " + r.Libc + " cannot ask name servers: libnss_dns is missing"
	case r.Servers == "":
		return false, "it has no etc/resolv.conf, and no script that writes one"
	}
	return true, ""
}

func (t tree) resolver() Resolver {
	var r Resolver
	r.Libc, r.DNS = t.libc()
	r.Servers = t.servers()
	if n, _ := t.file("etc/hosts"); n != nil {
		r.Hosts = hostNames(string(n.body))
	}
	return r
}

// libc returns the C library and whether it can ask name servers: glibc from 2.34 on, and
// before with libnss_dns; others always. Source: glibc, NEWS, 2.34.
func (t tree) libc() (name string, dns bool) {
	nss := false
	var version string
	for name, n := range t.nodes {
		base := path.Base(name)
		switch {
		case n.libc != "":
			version = n.libc
		case strings.HasPrefix(base, "libnss_dns"):
			f, _ := t.file(name)
			nss = nss || f != nil
		}
	}
	if version != "" {
		return "glibc " + version, nss || atLeast(version, 2, 34)
	}
	if t.any("ld-musl-") || t.any("libc.musl-") {
		return "musl", true
	}
	if t.any("libuClibc-") {
		return "uClibc", true
	}
	return "", true
}

// any reports whether there is a file whose name, without directory, begins with prefix.
func (t tree) any(prefix string) bool {
	return len(t.sorted(func(name string, n *node) bool {
		return strings.HasPrefix(path.Base(name), prefix)
	})) > 0
}

func atLeast(version string, major, minor int) bool {
	a, b, _ := strings.Cut(version, ".")
	b, _, _ = strings.Cut(b, ".")
	x, _ := strconv.Atoi(a)
	y, _ := strconv.Atoi(b)
	return x > major || x == major && y >= minor
}

// servers returns the name of a resolv.conf, or of what writes one.
func (t tree) servers() string {
	if n, name := t.file("etc/resolv.conf"); n != nil && strings.Contains(string(n.body), "nameserver") {
		return name
	}
	writers := t.sorted(func(name string, n *node) bool {
		base := path.Base(name)
		return n.script&writesResolve != 0 ||
			slices.Contains([]string{"systemd-resolved", "NetworkManager", "connmand"}, base) && n.there()
	})
	if len(writers) > 0 {
		return writers[0]
	}
	// The kernel writes the name servers it got with its own ip= there.
	if n := t.nodes["etc/resolv.conf"]; n != nil && strings.HasSuffix(n.target, "proc/net/pnp") {
		return "proc/net/pnp"
	}
	return ""
}

// hostNames returns the names in the text of a hosts file, addresses left out.
func hostNames(text string) []string {
	var list []string
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(line, "#")
		if fields := strings.Fields(line); len(fields) > 1 {
			list = append(list, fields[1:]...)
		}
	}
	return list
}
