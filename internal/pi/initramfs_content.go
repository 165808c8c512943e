// SPDX-License-Identifier: GPL-3.0-or-later

package pi

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"strings"
)

// script is what a script does that bears on a root over NBD.
type script int

const (
	callsClient   script = 1 << iota // names nbd-client
	writesResolve                    // names /etc/resolv.conf
	callsNetroot                     // names dracut's netroot
)

// readScript returns what a file does, by its lines that are no comments; 0 if it is no
// script.
func readScript(name string, body []byte) script {
	sh := bytes.HasPrefix(body, []byte("#!")) || strings.HasSuffix(name, ".sh") ||
		strings.HasPrefix(name, "scripts/") || strings.Contains(name, "dhcpcd-hooks/")
	if !sh || !bytes.Contains(body, []byte("nbd-client")) && !bytes.Contains(body, []byte("resolv.conf")) &&
		!bytes.Contains(body, []byte("/sbin/netroot")) {
		return 0
	}
	var s script
	for line := range bytes.Lines(body) {
		line = bytes.TrimSpace(line)
		if bytes.HasPrefix(line, []byte("#")) {
			continue
		}
		if bytes.Contains(line, []byte("nbd-client")) {
			s |= callsClient
		}
		if bytes.Contains(line, []byte("/sbin/netroot")) {
			s |= callsNetroot
		}
		if namesResolve(string(line)) {
			s |= writesResolve
		}
	}
	return s
}

// namesResolve reports whether a line of a script names /etc/resolv.conf: those that do
// write it, or hand its name to a function that does. The one of the root file system to
// come, or of a state that is kept for it, is another.
func namesResolve(line string) bool {
	for word := range strings.FieldsSeq(line) {
		before, _, found := strings.Cut(word, "/etc/resolv.conf")
		before = before[strings.LastIndexByte(before, '=')+1:]
		if found && strings.Trim(before, `"'>|&(`) == "" {
			return true
		}
	}
	return false
}

// elfHeaderSize is how much of a program is read: the fields up to e_machine.
const elfHeaderSize = 64

// machines are names of values of e_machine. Source: ELF gABI, 4.3.
var machines = map[uint16]string{3: "x86", 40: "arm", 62: "x86-64", 183: "arm64", 243: "risc-v"}

// machine returns what an ELF file with that beginning runs on, or "".
func machine(head []byte) string {
	if len(head) < 20 || string(head[:4]) != "\x7fELF" {
		return ""
	}
	order := binary.ByteOrder(binary.LittleEndian)
	if head[5] == 2 {
		order = binary.BigEndian
	}
	n := order.Uint16(head[18:])
	if name, ok := machines[n]; ok {
		return name
	}
	return fmt.Sprintf("machine %d", n)
}

// scanLibc reads a C library of that size and returns its version, as in "2.36", out of
// the line that it prints when it is run; "" if it has none.
func scanLibc(in *input, size int64) (string, error) {
	const overlap = 64
	mark := []byte(" release version ")
	buf := make([]byte, 0, 64<<10)
	version := ""
	for size > 0 {
		kept := min(len(buf), overlap)
		copy(buf[:kept], buf[len(buf)-kept:])
		n := int(min(size, int64(cap(buf)-kept)))
		buf = buf[:kept+n]
		if _, err := io.ReadFull(in, buf[kept:]); err != nil {
			return "", short(err)
		}
		size -= int64(n)
		if i := bytes.Index(buf, mark); i >= 0 && version == "" {
			version = leadingVersion(buf[i+len(mark):])
		}
	}
	return version, nil
}

// leadingVersion returns the digits and points at the beginning of b, without a point at
// the end.
func leadingVersion(b []byte) string {
	n := 0
	for n < len(b) && n < 16 && (b[n] == '.' || b[n] >= '0' && b[n] <= '9') {
		n++
	}
	return strings.TrimRight(string(b[:n]), ".")
}
