// SPDX-License-Identifier: GPL-3.0-or-later

package text

import (
	"strings"
	"testing"
)

func TestSize(t *testing.T) {
	for in, want := range map[int64]string{
		0: "0B", 9: "9B", 1023: "1023B", 1024: "1.0KiB", 1536: "1.5KiB", 16 << 30: "16GiB", 78601311: "75MiB", -5: "0B", 1<<63 - 1: "8.0EiB",
	} {
		if got := Size(in); got != want {
			t.Errorf("Size(%d) = %s, want %s", in, got, want)
		}
	}
}

// TestPrintable: what could break a line or fool a terminal is escaped, and nothing else.
func TestPrintable(t *testing.T) {
	for in, want := range map[string]string{
		"":                             "",
		"jammy.img:1:/é ü\u00a0日":      "jammy.img:1:/é ü\u00a0日",
		`a\b "c"`:                      `a\b "c"`,
		"a\nb\r\tc":                    `a\nb\r\tc`,
		"\x1b[31m":                     `\x1b[31m`,
		"\u202e\u200b\u2028\x7f\u009b": `\u202e\u200b\u2028\x7f\u009b`,
		"\xff\x80a":                    `\xff\x80a`,
		"half a pair \ufffd\xff\ufffd": "half a pair \ufffd\\xff\ufffd",
	} {
		if got := Printable(in); got != want {
			t.Errorf("Printable(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestPlain(t *testing.T) {
	for in, want := range map[string]string{
		"a b":               "a b",
		"Grüße 日本語 😀":       "Grüße 日本語 😀",
		"\x1b[31mred\n\x7f": "?[31mred??",
		"\u202e\xff\ufffd":  "??\ufffd",
	} {
		if got := Plain(in); got != want {
			t.Errorf("Plain(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestWriteTable(t *testing.T) {
	var b strings.Builder
	WriteTable(&b, [][]string{{"N", "SIZE", "U", "NAME"}, {"größe", "7", "x", "a b"}, {"1", "12345", "yz", ""}}, "lrl")
	want := "N      SIZE U  NAME\ngröße     7 x  a b\n1     12345 yz \n"
	if b.String() != want {
		t.Errorf("got\n%q\nwant\n%q", b.String(), want)
	}
}
