// SPDX-License-Identifier: GPL-3.0-or-later

package bootd

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"sync"
	"syscall"

	"nobodd/internal/text"
)

// NewLog returns a log on w of the given level: a line an event, "TEXT key=value...". Where
// JOURNAL_STREAM is set it has no time of its own; if w is the stream that this names, each line begins
// with its level as sd-daemon(3) describes it.
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

// Enabled reports whether anything of that level is written.
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
	b.WriteString(text.Printable(r.Message))
	r.Attrs(func(a slog.Attr) bool {
		b.WriteString(" " + a.Key + "=" + quoted(a.Value.String()))
		return true
	})
	line := b.String() + "\n"
	if h.journal {
		line = priority(r.Level) + line
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	_, err := io.WriteString(h.w, line)
	return err
}

func levelName(level slog.Level) string {
	if level == slog.LevelWarn {
		return "warning"
	}
	return strings.ToLower(level.String())
}

// priority returns the prefix of sd-daemon(3).
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
