// SPDX-License-Identifier: GPL-3.0-or-later

package pi

import (
	"strings"
	"testing"
)

func TestReadCmdline(t *testing.T) {
	for _, tt := range []struct {
		text, words string // words with | between
		lines, size int
	}{
		{"", "", 0, 0},
		{"a b  c\td\n", "a|b|c|d", 1, 8},
		{"a b\r\n", "a|b", 1, 3},
		{" a \n\n \n", "a", 1, 3},
		{"a\nb\n", "a", 2, 1},
		{"a\n\nb\nc", "a", 3, 1},
		{"\na\n", "", 1, 0},
		{"\ufeffa b", "\ufeffa|b", 1, 6},
		{`a="b c" d`, `a="b c"|d`, 1, 9},
		{`"a=b c" d`, `"a=b c"|d`, 1, 9},
		{`a="b c`, `a="b c`, 1, 6},
		{"a\x00b c\n", "a", 1, 1},
	} {
		c := ReadCmdline(tt.text)
		if got := strings.Join(c.Words, "|"); got != tt.words || c.Lines != tt.lines || c.Size != tt.size {
			t.Errorf("%q: %q, %d lines, %d characters; want %q, %d, %d", tt.text, got, c.Lines, c.Size, tt.words,
				tt.lines, tt.size)
		}
	}
	c := ReadCmdline(`root=LABEL=a x="root=b" root="PARTLABEL=Arch Linux" "ip=dhcp" netroot=iscsi:x netroot=nbd:h:a netroot=nbd:h:b`)
	for key, want := range map[string]string{"root": "PARTLABEL=Arch Linux", "ip": "dhcp", "x": "root=b",
		"nosuch": ""} {
		if got, ok := c.Last(key); got != want || ok != (want != "") {
			t.Errorf("%s: %q, %v", key, got, ok)
		}
	}
	if got, ok := c.First("netroot", "nbd:"); got != "nbd:h:a" || !ok {
		t.Errorf("netroot: %q, %v", got, ok)
	}
}

func TestTargets(t *testing.T) {
	for _, tt := range []struct{ value, host, export, port, problem, odd string }{
		{value: "server/jammy", host: "server", export: "jammy"},
		{value: "192.168.0.4/jammy", host: "192.168.0.4", export: "jammy"},
		{value: "server:10810/jammy", host: "server", export: "jammy", port: "10810"},
		{value: "server:/srv/jammy", host: "server", export: "/srv/jammy"},
		{value: "[fd00::4]/jammy", host: "fd00::4", export: "jammy"},
		{value: "[fd00::4]:10809/jammy", host: "fd00::4", export: "jammy", port: "10809"},
		{value: "server,jammy,nbd0", host: "server", export: "jammy"},
		{value: "server,jammy", host: "server", export: "jammy",
			odd: "is the old form of nbdroot, which newer scripts do not read; write nbdroot=server/jammy"},
		{value: "dhcp",
			odd: "takes server and export from the DHCP option root-path; nothing that nobodd sets up sends it"},
		{value: "dhcp/jammy", host: "dhcp", export: "jammy"},
		{value: "", problem: "names no server"},
		{value: "/jammy", export: "jammy", problem: "names no server"},
		{value: "server", host: "server", problem: "names no export: nbdroot=server/EXPORT"},
		{value: "server/", host: "server", problem: "names no export: nbdroot=server//EXPORT"},
		{value: "fd00::4/jammy", host: "fd00", export: "jammy", port: ":4",
			problem: "has no port after the colon; an IPv6 address stands in brackets, an export after a slash"},
		{value: "server:jammy", host: "server", port: "jammy",
			problem: "has no port after the colon; an IPv6 address stands in brackets, an export after a slash"},
		{value: "[fd00::4/jammy", problem: "has no closing bracket"},
	} {
		want := Target{Word: "nbdroot=" + tt.value, Host: tt.host, Export: tt.export, Port: tt.port,
			Problem: tt.problem, Odd: tt.odd}
		if got := parseNbdroot(tt.value); got != want {
			t.Errorf("nbdroot: %+v, want %+v", got, want)
		}
	}
	for _, tt := range []struct{ value, host, export, port, problem, odd string }{
		{value: "nbd:server:jammy", host: "server", export: "jammy"},
		{value: "nbd:server:jammy:ext4:ro", host: "server", export: "jammy"},
		{value: "nbd:[fd00::4]:jammy", host: "fd00::4", export: "jammy"},
		{value: "nbd:server:10809", host: "server", port: "10809",
			odd: "has a number for an export, which dracut takes for a port"},
		{value: "nbd:server", host: "server", problem: "names no export: netroot=nbd:server:EXPORT"},
		{value: "nbd::jammy", export: "jammy", problem: "names no server"},
		{value: "nbd:[fd00::4:jammy", problem: "has no closing bracket"},
	} {
		want := Target{Word: "netroot=" + tt.value, Host: tt.host, Export: tt.export, Port: tt.port,
			Problem: tt.problem, Odd: tt.odd}
		if got := parseNetroot(tt.value); got != want {
			t.Errorf("netroot: %+v, want %+v", got, want)
		}
	}
}

func TestNoNetwork(t *testing.T) {
	for value, want := range map[string]bool{
		"off": true, "none": true, "dhcp": false, "on": false, "any": false, "": false, "eth0:dhcp": false,
		":::::eth0:dhcp": false, ":::::eth0:off": true, ":::::eth0:none": true, "192.168.0.9::192.168.0.1:255.255.255.0::eth0:off": false,
		"[fd00::9]::[fd00::1]:64::eth0:off": false,
	} {
		if got := noNetwork(value); got != want {
			t.Errorf("ip=%s: %v, want %v", value, got, want)
		}
	}
}
