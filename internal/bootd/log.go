// SPDX-License-Identifier: GPL-3.0-or-later

package bootd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/dustin/go-humanize"

	"nobodd/internal/tftp"
)

// event is a request that has ended.
type event struct {
	client  netip.AddrPort
	board   string // who asks, see asked.who
	served  bool   // it is a board of the configuration that may ask
	file    string
	bytes   int64 // sent
	size    int64 // of the file; 0 if it was not opened
	took    time.Duration
	opening bool // the client had not acknowledged anything
	err     error
}

// log writes the line for the request.
func (e *event) log(log *slog.Logger) {
	board := e.board
	if board == "" {
		board = "-"
	}
	level, outcome, text := e.outcome()
	file := shown(e.file)
	attrs := []slog.Attr{
		slog.String("client", e.client.String()),
		slog.String("board", board),
		slog.String("file", file),
		slog.String("outcome", outcome),
		slog.Int64("bytes", e.bytes),
		slog.String("seconds", strconv.FormatFloat(e.took.Seconds(), 'f', 3, 64)),
		slog.String("rate", size(e.rate())+"/s"),
	}
	if p := (*panicError)(nil); errors.As(e.err, &p) {
		attrs = append(attrs, slog.String("stack", string(p.stack)))
	}
	log.LogAttrs(context.Background(), level, fmt.Sprintf("%s: %s %s", board, quoted(file), text), attrs...)
}

// outcome gives the level, a word and a text for how the request ended.
func (e *event) outcome() (level slog.Level, word, text string) {
	seconds := fmt.Sprintf("in %.1fs", e.took.Seconds())
	after := fmt.Sprintf("after %s %s", size(e.bytes), seconds)
	var said *tftp.ClientError
	var why *tftp.Refusal
	switch err := e.err; {
	case err == nil:
		return slog.LevelInfo, "sent", size(e.bytes) + " " + seconds
	case errors.As(err, &said) && e.opening, errors.Is(err, tftp.ErrGone) && e.opening:
		return slog.LevelDebug, "probed", "probed: " + size(e.size)
	case errors.As(err, &said), errors.Is(err, tftp.ErrGone):
		return slog.LevelInfo, "aborted", fmt.Sprintf("%s: %v", after, err)
	case errors.Is(err, errSuperseded):
		return slog.LevelDebug, "aborted", fmt.Sprintf("%s: %v", after, err)
	case errors.Is(err, errChanged):
		return slog.LevelWarn, "changed", after + ": it changed while it was sent"
	case errors.Is(err, tftp.ErrTimeout):
		return slog.LevelWarn, "timeout", fmt.Sprintf("%s: %v", after, err)
	case errors.Is(err, errNotFound):
		return slog.LevelDebug, "missing", "not found"
	case errors.Is(err, errBusy): // the server warns of that itself, but not each time
		return slog.LevelDebug, "refused", "refused: " + errBusy.Text
	case errors.As(err, &why):
		return slog.LevelWarn, "refused", "refused: " + why.Text
	}
	return slog.LevelError, "failed", after + ": " + printable(e.err.Error())
}

// rate is in bytes a second.
func (e *event) rate() int64 {
	return int64(float64(e.bytes) / max(e.took, time.Microsecond).Seconds())
}

func size(n int64) string {
	return strings.Replace(humanize.IBytes(uint64(n)), " ", "", 1)
}

// maxLogged is how many bytes of a name are logged.
const maxLogged = 300

// shown gives s, or its beginning.
func shown(s string) string {
	if len(s) > maxLogged {
		return s[:maxLogged] + "..."
	}
	return s
}

// printable gives s with everything escaped that could break a line.
func printable(s string) string {
	if !strings.ContainsFunc(s, func(r rune) bool { return !strconv.IsPrint(r) }) {
		return s
	}
	q := strconv.Quote(s)
	return strings.ReplaceAll(q[1:len(q)-1], `\"`, `"`)
}

// quoted gives s so that it is one word of printable characters.
func quoted(s string) string {
	if s == "" || strings.ContainsFunc(s, func(r rune) bool { return !strconv.IsGraphic(r) || r == ' ' || r == '"' || r == '\ufffd' }) {
		return strconv.Quote(s)
	}
	return s
}

// sometimes is true once in a while.
type sometimes struct{ last time.Time }

func (s *sometimes) now() bool {
	const while = 10 * time.Second
	if !s.last.IsZero() && time.Since(s.last) < while {
		return false
	}
	s.last = time.Now()
	return true
}

// NewLog makes a log on w of the given level: a line an event, "TEXT key=value...". Where
// the environment says that it goes to the journal it has no time of its own, and if w is
// the journal's stream, the level as sd-daemon(3) describes it.
func NewLog(w *os.File, level slog.Level) *slog.Logger {
	stream := os.Getenv("JOURNAL_STREAM")
	return slog.New(&handler{w: w, level: level, plain: stream != "", journal: isStream(w, stream)})
}

// isStream compares a file with the device and inode number in JOURNAL_STREAM.
func isStream(f *os.File, stream string) bool {
	fi, err := f.Stat()
	if err != nil {
		return false
	}
	st, ok := fi.Sys().(*syscall.Stat_t)
	return ok && stream == fmt.Sprintf("%d:%d", st.Dev, st.Ino)
}

// handler is a slog.Handler for lines that people read.
type handler struct {
	w       io.Writer
	level   slog.Leveler
	plain   bool // no time
	journal bool // a level before each line

	mu sync.Mutex
}

// Enabled tells whether anything of that level is written.
func (h *handler) Enabled(_ context.Context, level slog.Level) bool { return level >= h.level.Level() }

// Handle writes r as one line: to the journal a second one would be another record.
func (h *handler) Handle(_ context.Context, r slog.Record) error {
	var b strings.Builder
	if !h.plain {
		b.WriteString(r.Time.Format("2006-01-02T15:04:05.000Z07:00 "))
	}
	if !h.journal && r.Level != slog.LevelInfo {
		b.WriteString(levelName(r.Level) + ": ")
	}
	b.WriteString(printable(r.Message))
	r.Attrs(func(a slog.Attr) bool {
		b.WriteString(" " + a.Key + "=" + quoted(a.Value.String()))
		return true
	})
	text := b.String()
	if h.journal {
		text = priority(r.Level) + text
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	_, err := io.WriteString(h.w, text+"\n")
	return err
}

func levelName(level slog.Level) string {
	if level == slog.LevelWarn {
		return "warning"
	}
	return strings.ToLower(level.String())
}

// priority is the prefix of sd-daemon(3).
func priority(level slog.Level) string {
	switch {
	case level >= slog.LevelError:
		return "<3>"
	case level >= slog.LevelWarn:
		return "<4>"
	case level >= slog.LevelInfo:
		return "<6>"
	}
	return "<7>"
}

// WithAttrs is not used by this package.
func (h *handler) WithAttrs([]slog.Attr) slog.Handler { return h }

// WithGroup is not used by this package.
func (h *handler) WithGroup(string) slog.Handler { return h }
