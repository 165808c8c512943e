// SPDX-License-Identifier: GPL-3.0-or-later

package pi

import (
	"net/netip"
	"strings"
)

// Cmdline is a kernel command line.
type Cmdline struct {
	Words []string
	Lines int // lines of the file that are not blank
	Size  int // characters of the first line
}

// ReadCmdline reads the text of cmdline.txt: its first line counts, up to a NUL. Double quotes hold a word
// together, as they do for the kernel, and stay in it.
func ReadCmdline(text string) Cmdline {
	line, rest, _ := strings.Cut(text, "\n")
	line, _, _ = strings.Cut(line, "\x00")
	line = strings.TrimRight(line, "\r")
	c := Cmdline{Size: len(line)}
	for l := range strings.Lines(line + "\n" + rest) {
		if strings.TrimSpace(l) != "" {
			c.Lines++
		}
	}
	inWord, quoted := -1, false
	for i, b := range []byte(line + " ") {
		blank := (b == ' ' || b == '\t' || b == '\r') && (!quoted || i == len(line))
		switch {
		case blank && inWord >= 0:
			c.Words = append(c.Words, line[inWord:i])
			inWord = -1
		case !blank && inWord < 0:
			inWord = i
		}
		if b == '"' {
			quoted = !quoted
		}
	}
	return c
}

// Last returns the value of the last word KEY=VALUE, without quotes around it.
func (c Cmdline) Last(key string) (value string, ok bool) {
	for _, w := range c.Words {
		if v, found := strings.CutPrefix(strings.TrimPrefix(w, `"`), key+"="); found {
			value, ok = strings.Trim(v, `"`), true
		}
	}
	return value, ok
}

// First returns the value of the first word KEY=VALUE whose value begins with prefix.
func (c Cmdline) First(key, prefix string) (value string, ok bool) {
	for _, w := range c.Words {
		v, found := strings.CutPrefix(strings.TrimPrefix(w, `"`), key+"=")
		if v = strings.Trim(v, `"`); found && strings.HasPrefix(v, prefix) {
			return v, true
		}
	}
	return "", false
}

// Target is where a root is on the network.
type Target struct {
	Word    string // as it stands on the command line
	Host    string // without brackets
	Export  string
	Port    string
	Problem string // what keeps the generator's script from reading it
	Odd     string // what is odd about it
}

// parseNbdroot reads the value of nbdroot= as the script of nbd-client for initramfs-tools does
// (rule nbdroot): HOST[:PORT]/EXPORT, HOST:/EXPORT, HOST,EXPORT[,DEVICE], dhcp.
func parseNbdroot(value string) Target {
	t := Target{Word: "nbdroot=" + value}
	rest := value
	switch {
	case value == "":
		t.Problem = "names no server"
		return t
	case value == "dhcp":
		t.Odd = "takes server and export from the DHCP option root-path; nothing that nobodd sets up sends it"
		return t
	case value[0] == '[':
		end := strings.IndexByte(value, ']')
		if end < 0 {
			t.Problem = "has no closing bracket"
			return t
		}
		t.Host, rest = value[1:end], value[end+1:]
	default:
		end := strings.IndexAny(value, ",:/")
		if end < 0 {
			t.Host, t.Problem = value, "names no export: nbdroot="+value+"/EXPORT"
			return t
		}
		t.Host, rest = value[:end], value[end:]
	}
	t.readExport(rest)
	if t.Host == "" {
		t.Problem = "names no server"
	}
	return t
}

// readExport reads what follows the host of nbdroot=.
func (t *Target) readExport(rest string) {
	switch {
	case strings.HasPrefix(rest, ","):
		parts := strings.Split(rest[1:], ",")
		t.Export = parts[0]
		if len(parts) == 1 {
			t.Odd = "is the old form of nbdroot, which newer scripts do not read; write " +
				"nbdroot=" + t.Host + "/" + t.Export
		}
	case strings.HasPrefix(rest, ":/"):
		t.Export = rest[1:]
	case strings.HasPrefix(rest, ":"):
		t.Port, t.Export, _ = strings.Cut(rest[1:], "/")
		if strings.Trim(t.Port, "0123456789") != "" {
			t.Problem = "has no port after the colon; an IPv6 address stands in brackets, an export after a slash"
		}
	default:
		t.Export = strings.TrimPrefix(rest, "/")
	}
	if t.Export == "" && t.Problem == "" {
		t.Problem = "names no export: " + t.Word + "/EXPORT"
	}
}

// parseNetroot reads the value of netroot= as dracut's nbd module does (rule netroot):
// nbd:HOST:EXPORT[:...].
func parseNetroot(value string) Target {
	t := Target{Word: "netroot=" + value}
	rest := strings.TrimPrefix(value, "nbd:")
	if inside, ok := strings.CutPrefix(rest, "["); ok {
		host, after, found := strings.Cut(inside, "]")
		if !found {
			t.Problem = "has no closing bracket"
			return t
		}
		t.Host, rest = host, strings.TrimPrefix(after, ":")
	} else {
		t.Host, rest, _ = strings.Cut(rest, ":")
	}
	t.Export, _, _ = strings.Cut(rest, ":")
	switch {
	case t.Host == "":
		t.Problem = "names no server"
	case t.Export == "":
		t.Problem = "names no export: netroot=nbd:" + t.Host + ":EXPORT"
	case strings.Trim(t.Export, "0123456789") == "":
		t.Odd = "has a number for an export, which dracut takes for a port"
		t.Port, t.Export = t.Export, ""
	}
	return t
}

// isAddress reports whether host is an IP address, which needs no look-up.
func isAddress(host string) bool {
	_, err := netip.ParseAddr(host)
	return err == nil
}

// noNetwork reports whether the value of ip= leaves the network as it is: off, none, or neither
// an address nor a way to get one.
func noNetwork(value string) bool {
	if value == "off" || value == "none" {
		return true
	}
	if strings.Contains(value, "[") {
		return false
	}
	fields := strings.Split(value, ":")
	return len(fields) > 6 && fields[0] == "" && (fields[6] == "off" || fields[6] == "none")
}
