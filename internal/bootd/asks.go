// SPDX-License-Identifier: GPL-3.0-or-later

package bootd

import (
	"cmp"
	"fmt"
	"net/netip"
	"path"
	"slices"
	"strings"
	"sync"

	"nobodd/internal/config"
)

// asked is what a request means.
type asked struct {
	board config.Board // the zero Board if there is none to serve
	who   string       // the board by its serial number, MAC address or "default"; "" if nothing names one
	path  string       // of the file in the board's partition, as io/fs wants it
}

// resolve finds out which board asks for name from client, and for which file of it. It reports whether
// there is such a board.
func resolve(cfg *config.Config, client netip.Addr, name string) (asked, bool) {
	elements := strings.FieldsFunc(name, func(r rune) bool { return r == '/' })
	if b, n := byPrefix(cfg, elements); n > 0 {
		return asked{b, b.Serial.String(), inside(elements[n:])}, true
	}
	who, rest := "", elements
	if len(elements) > 0 {
		first := elements[0]
		if serial, err := config.ParseSerial(first); err == nil {
			who, rest = serial.String(), elements[1:]
			if b, ok := cfg.Boards[serial]; ok {
				return asked{b, who, inside(rest)}, true
			}
		} else if config.IsMAC(first) {
			who, rest = strings.ToLower(first), elements[1:]
		}
	}
	if list := byIP(cfg, client); who == "" && len(list) == 1 {
		return asked{list[0], list[0].Serial.String(), inside(elements)}, true
	}
	if b, ok := cfg.Boards[config.Default]; ok {
		return asked{b, cmp.Or(who, b.Serial.String()), inside(rest)}, true
	}
	return asked{who: who, path: inside(rest)}, false
}

// byPrefix finds the board one of whose words the elements begin with, the longest of them, and returns how many
// elements that has: 0 for none.
func byPrefix(cfg *config.Config, elements []string) (board config.Board, n int) {
	path := strings.ToLower(strings.Join(elements, "/")) + "/"
	for _, b := range cfg.Boards {
		for _, word := range b.Prefix {
			if m := strings.Count(word, "/") + 1; m > n && strings.HasPrefix(path, word+"/") {
				board, n = b, m
			}
		}
	}
	return board, n
}

// byIP returns the boards that serve client alone, by serial number.
func byIP(cfg *config.Config, client netip.Addr) []config.Board {
	var list []config.Board
	for _, b := range cfg.Boards {
		if b.IP.IsValid() && sameClient(b.IP, client) {
			list = append(list, b)
		}
	}
	slices.SortFunc(list, func(a, b config.Board) int { return cmp.Compare(a.Serial, b.Serial) })
	return list
}

// sameClient compares addresses. A link-local one without a zone is meant on any.
func sameClient(want, got netip.Addr) bool {
	return want == got || want.Zone() == "" && want == got.WithZone("")
}

// inside resolves "." and ".." lexically; they end at the root.
func inside(elements []string) string {
	if p := path.Clean("/" + strings.Join(elements, "/"))[1:]; p != "" {
		return p
	}
	return "."
}

// strange says of a request that no board answers what was asked, by whom, and what to add to the
// configuration. who is as resolve returns it, name as the client sent it.
func strange(cfg *config.Config, client netip.Addr, who, name string) string {
	by := fmt.Sprintf("%s asked for %s", client, quoted(shown(name)))
	serial, err := config.ParseSerial(who)
	list := byIP(cfg, client)
	switch {
	case err == nil && cfg.LeftOut[serial]:
		return fmt.Sprintf("board %s is left out for a mistake in its configuration (%s)", who, by)
	case err == nil:
		return fmt.Sprintf("no board %s in the configuration (%s); "+
			"to serve it add [board:%[1]s] with image = /path/to/its/image.img", who, by)
	case who != "":
		return fmt.Sprintf("no board with the prefix %s (%s); to serve it add prefix = %[1]s to its section", who, by)
	case len(list) > 1:
		return fmt.Sprintf("%s without a serial number, and the boards %s and %s both have ip = %s",
			by, list[0].Serial, list[1].Serial, client)
	}
	return fmt.Sprintf("%s without a serial number; to serve it add ip = %s to the section of its board", by, client)
}

// maxStrangers is how many strangers are remembered. What is remembered must not grow with what is asked.
const maxStrangers = 1000

// strangers remembers who asked in vain since the configuration was read.
type strangers struct {
	mu     sync.Mutex
	known  map[string]bool
	others int
}

// isNew reports whether a stranger is a new one to speak of. After maxStrangers it only counts requests.
func (s *strangers) isNew(who string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.known[who]:
		return false
	case len(s.known) >= maxStrangers:
		s.others++
		return false
	case s.known == nil:
		s.known = map[string]bool{}
	}
	s.known[who] = true
	return true
}

// unknown returns the number of requests of strangers that came after maxStrangers were known.
func (s *strangers) unknown() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.others
}

// forget forgets them all.
func (s *strangers) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.known, s.others = nil, 0
}
