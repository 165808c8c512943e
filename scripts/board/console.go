// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
	"time"
)

// console is the serial line of a board: what it says is read and kept, and something is typed
// once it has said what is waited for.
type console struct {
	in    io.Writer
	heard chan []byte // what the board says, closed when it is off
	said  []byte      // what it has said since the last match
	off   bool
}

// newConsole reads what a board says from out, copies it to log, and types to in.
func newConsole(in io.Writer, out io.Reader, log *os.File) *console {
	c := &console{in: in, heard: make(chan []byte, 1024)}
	go func() {
		defer close(c.heard)
		defer log.Close()
		for {
			buf := make([]byte, 4096)
			n, err := out.Read(buf)
			log.Write(buf[:n])
			if err != nil {
				return
			}
			c.heard <- buf[:n]
		}
	}()
	return c
}

var errSilent = errors.New("the board is silent")

// lastWords is how much of what a board said last stands in an error.
const lastWords = 400

// expect waits until the board has said what one of the patterns matches, and returns which one and
// its submatches. What stands before the match is forgotten; it is returned, too. Patience is how long
// the board may say nothing at all: it is for one that hangs, and no measure of speed.
func (c *console) expect(patience time.Duration, patterns ...*regexp.Regexp) (int, []string, string, error) {
	timeout := time.NewTimer(patience)
	defer timeout.Stop()
	for {
		if i, match, before := c.match(patterns); match != nil {
			return i, match, before, nil
		}
		if c.off {
			return 0, nil, "", fmt.Errorf("the board is off while %v is awaited; it said last:\n%s", patterns, c.last())
		}
		select {
		case p, ok := <-c.heard:
			c.off = !ok
			c.said = append(c.said, p...)
			timeout.Reset(patience)
		case <-timeout.C:
			return 0, nil, "", fmt.Errorf("%w for %v, and no %v; it said last:\n%s", errSilent, patience, patterns, c.last())
		}
	}
}

// match returns the earliest match in what was said, and drops what is before its end.
func (c *console) match(patterns []*regexp.Regexp) (which int, match []string, before string) {
	first := len(c.said) + 1
	var found []int
	for i, p := range patterns {
		if m := p.FindSubmatchIndex(c.said); m != nil && m[0] < first {
			which, first, found = i, m[0], m
		}
	}
	if found == nil {
		return 0, nil, ""
	}
	for i := 0; i < len(found); i += 2 {
		if found[i] < 0 {
			match = append(match, "")
			continue
		}
		match = append(match, string(c.said[found[i]:found[i+1]]))
	}
	before = string(c.said[:found[0]])
	c.said = c.said[found[1]:]
	return which, match, before
}

func (c *console) last() string {
	return string(c.said[max(0, len(c.said)-lastWords):])
}

// send types a line.
func (c *console) send(line string) error {
	_, err := io.WriteString(c.in, line+"\r")
	return err
}

// statusLine is what the echo of a status prints, and the prompt after it: what is typed before that is
// echoed twice.
var statusLine = regexp.MustCompile(`status=(\d+)\s+(?:board# |=> )`)

// run types a command at the prompt of a shell (U-Boot's is one) and returns what it prints. A status
// other than 0 is an error.
func (c *console) run(command string, patience time.Duration) (string, error) {
	typed := command + "; echo status=$?"
	if err := c.send(typed); err != nil {
		return "", err
	}
	_, m, out, err := c.expect(patience, statusLine)
	if err != nil {
		return "", fmt.Errorf("%s: %w", command, err)
	}
	out = strings.ReplaceAll(out, "\r", "")
	if _, rest, ok := strings.Cut(out, "echo status=$?"); ok { // what was typed is echoed
		out = strings.TrimPrefix(rest, "\n")
	}
	if m[1] != "0" {
		return out, fmt.Errorf("%s: status %s:\n%s", command, m[1], out)
	}
	return out, nil
}
