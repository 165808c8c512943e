// SPDX-License-Identifier: GPL-3.0-or-later

package tool

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/urfave/cli/v2"

	"nobodd/internal/addr"
)

// testApp prints the options and operands it was given.
func testApp() *cli.App {
	return &cli.App{
		Name: "nobodd-x", Usage: "do x", UsageText: "nobodd-x [OPTION]... ADDRESS...",
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "all", Aliases: []string{"a"}, Usage: "all of it"},
			&cli.BoolFlag{Name: "l", Usage: "long"},
			&cli.BoolFlag{Name: "1", Usage: "one"},
			&cli.BoolFlag{Name: "human-readable", Aliases: []string{"h"}},
			&cli.BoolFlag{Name: "verbose", Aliases: []string{"v"}},
			&cli.BoolFlag{Name: "no-sync"},
			&cli.BoolFlag{Name: "no-clobber", Aliases: []string{"n"}},
			&cli.BoolFlag{Name: "recursive", Aliases: []string{"r", "R"}},
			&cli.StringFlag{Name: "output", Aliases: []string{"o"}, Usage: "write to `ADDRESS`"},
			&cli.StringFlag{Name: "sort"},
			&cli.BoolFlag{Name: "sort-all"},
			&cli.StringSliceFlag{Name: "board", Aliases: []string{"b"}},
			&cli.StringFlag{Name: "port", Usage: "listen on `PORT`, which nobody but the superuser may below 1024"},
			&cli.BoolFlag{Name: "reaches-up-to-column", Usage: "what it does stands in the same line"},
			&cli.BoolFlag{Name: "reaches-to-column-two", Usage: "what it does stands below"},
		},
		Action: func(c *cli.Context) error {
			for _, name := range []string{"all", "l", "1", "human-readable", "h", "verbose", "no-sync", "no-clobber", "recursive", "R"} {
				if c.Bool(name) {
					fmt.Fprintf(c.App.Writer, "%s ", name)
				}
			}
			for _, name := range []string{"output", "sort"} {
				if c.IsSet(name) {
					fmt.Fprintf(c.App.Writer, "%s=%s ", name, c.String(name))
				}
			}
			for _, b := range c.StringSlice("board") {
				fmt.Fprintf(c.App.Writer, "board=%s ", b)
			}
			fmt.Fprintf(c.App.Writer, "%q", c.Args().Slice())
			return nil
		},
	}
}

func runApp(app *cli.App, args ...string) (status int, out, errs string) {
	var o, e bytes.Buffer
	status = Run(context.Background(), app, append([]string{app.Name}, args...), strings.NewReader(""), &o, &e)
	return status, o.String(), e.String()
}

func TestArguments(t *testing.T) {
	for _, tt := range []struct{ args, want string }{
		{"", `[]`},
		{"x -l y -a", `all l ["x" "y"]`},
		{"-lh x", `l human-readable h ["x"]`},
		{"-la1 -- -l --all", `all l 1 ["-l" "--all"]`},
		{"x -- y -- -z", `["x" "y" "--" "-z"]`},
		{"- -l", `l ["-"]`},
		{"help h -", `["help" "h" "-"]`},
		{"-l -l --all -a --all", `all l []`},
		{"-r -R --recursive", `recursive R []`},
		{"-o a x", `output=a ["x"]`},
		{"-oa x", `output=a ["x"]`},
		{"-oa", `output=a []`},
		{"-o=a x", `output==a ["x"]`},
		{"-lo a x", `l output=a ["x"]`},
		{"-loa x", `l output=a ["x"]`},
		{"--output a x", `output=a ["x"]`},
		{"--output=a=b x", `output=a=b ["x"]`},
		{"--output= x", `output= ["x"]`},
		{"--output -l x", `output=-l ["x"]`},
		{"-o -- x", `output=-- ["x"]`},
		{"-o a --output b", `output=b []`},
		{"--out a --hum --verb", `human-readable h verbose output=a []`},
		{"-b a,b --board c -b d", `board=a,b board=c board=d []`},
		{"--sort=size", `sort=size []`}, // though it begins another, too
	} {
		status, out, errs := runApp(testApp(), strings.Fields(tt.args)...)
		if status != 0 || out != tt.want || errs != "" {
			t.Errorf("%s: status %d, %s, error %q; want %s", tt.args, status, out, errs, tt.want)
		}
	}
}

func TestUsageErrors(t *testing.T) {
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"--bogus"}, "unknown option --bogus (try --help)"},
		{[]string{"x", "--bogus=1", "y"}, "unknown option --bogus (try --help)"},
		{[]string{"--l"}, "unknown option --l (try --help)"},
		{[]string{"--a\nb"}, `unknown option --a\nb (try --help)`},
		{[]string{"-lz"}, "unknown option -z (try --help)"},
		{[]string{"-lé"}, "unknown option -é (try --help)"},
		{[]string{"--no"}, "option --no is ambiguous (--no-sync, --no-clobber)"},
		{[]string{"--all=yes"}, "option --all takes no value"},
		{[]string{"--al="}, "option --all takes no value"},
		{[]string{"x", "-lo"}, "option -o needs a value"},
		{[]string{"--sort"}, "option --sort needs a value"},
		{[]string{"--bogus", "--help"}, "unknown option --bogus (try --help)"},
	} {
		status, out, errs := runApp(testApp(), tt.args...)
		if want := "nobodd-x: " + tt.want + "\n"; status != ExitUsage || out != "" || errs != want {
			t.Errorf("%q: status %d, %q, error %q; want %q", tt.args, status, out, errs, want)
		}
	}
}

func TestHelpAndVersion(t *testing.T) {
	status, out, errs := runApp(testApp(), "x", "--version", "--bogus")
	if status != 0 || out != "nobodd-x "+Version+"\n" || errs != "" {
		t.Errorf("--version: status %d, %q, error %q", status, out, errs)
	}
	status, out, errs = runApp(testApp(), "x", "--help", "--bogus")
	if status != 0 || errs != "" {
		t.Errorf("--help: status %d, error %q", status, errs)
	}
	if strings.HasSuffix(out, "\n\n") {
		t.Errorf("--help ends in an empty line:\n%s", out)
	}
	for _, line := range []string{
		"Usage: nobodd-x [OPTION]... ADDRESS...",
		"Do x.",
		"  -a, --all                   all of it",
		"  -l                          long",
		"  -o, --output=ADDRESS        write to ADDRESS",
		"      --port=PORT             listen on PORT, which nobody but the superuser may",
		"                              below 1024",
		"      --reaches-up-to-column  what it does stands in the same line",
		"      --reaches-to-column-two\n                              what it does stands below",
		"      --help                  print this help and exit",
		"      --version               print the version and exit",
	} {
		if !strings.Contains(out, line+"\n") {
			t.Errorf("--help lacks %q:\n%s", line, out)
		}
	}
}

func TestErrorLines(t *testing.T) {
	notFound := &fs.PathError{Op: "open", Path: "/foo", Err: syscall.ENOENT}
	for _, tt := range []struct {
		err    error
		status int
		want   string
	}{
		{nil, 0, ""},
		{errors.New("boom"), 1, "nobodd-x: boom\n"},
		{notFound, 1, "nobodd-x: /foo: no such file or directory\n"},
		{&addr.Error{Text: "d.img:1:/foo", Err: syscall.ENOENT}, 1, "nobodd-x: d.img:1:/foo: no such file or directory\n"},
		{&os.LinkError{Op: "rename", Old: "a", New: "b", Err: syscall.EXDEV}, 1, "nobodd-x: b: invalid cross-device link\n"},
		{errors.Join(errors.New("a"), nil, errors.Join(errors.New("b"), errors.New("c"))), 1, "nobodd-x: a\nnobodd-x: b\nnobodd-x: c\n"},
		{errors.Join(&addr.Error{Text: "x", Err: errors.New("a")}, notFound), 1, "nobodd-x: x: a\nnobodd-x: /foo: no such file or directory\n"},
		{fmt.Errorf("%w and %w", errors.New("a"), errors.New("b")), 1, "nobodd-x: a and b\n"},
		{errors.Join(errors.New("a"), Usagef("bad %s", "b")), 2, "nobodd-x: a\nnobodd-x: bad b\n"},
		{&addr.Error{Text: "a\nb\x1b[31m\xff\u202ecafé x", Err: syscall.ENOENT}, 1,
			`nobodd-x: a\nb\x1b[31m\xff\u202ecafé x: no such file or directory` + "\n"},
		{Status(0), 0, ""},
		{Status(2), 2, ""},
	} {
		app := testApp()
		app.Action = func(*cli.Context) error { return tt.err }
		status, out, errs := runApp(app)
		if status != tt.status || out != "" || errs != tt.want {
			t.Errorf("%v: status %d, %q, error %q; want %d, %q", tt.err, status, out, errs, tt.status, tt.want)
		}
	}
}

func TestReportThenSuccess(t *testing.T) {
	app := testApp()
	app.Action = func(c *cli.Context) error {
		Report(c, nil)
		Report(c, errors.New("first"))
		Note(c, "note %d", 1)
		waiting := Waiting(c, "d.img")
		waiting()
		waiting()
		return nil
	}
	status, _, errs := runApp(app)
	if want := "nobodd-x: first\nnobodd-x: note 1\nnobodd-x: waiting for the lock of d.img\n"; status != 1 || errs != want {
		t.Errorf("status %d, error %q; want 1, %q", status, errs, want)
	}
}

func TestLast(t *testing.T) {
	for _, tt := range []struct{ args, want string }{
		{"", ""}, {"-l", ""}, {"-a -n", "no-clobber"}, {"-n --al", "all"}, {"--sort x -an --sort y", "sort"},
	} {
		app := testApp()
		app.Action = func(c *cli.Context) error {
			if got := Last(c, "all", "no-clobber", "sort"); got != tt.want {
				t.Errorf("%s: Last = %q, want %q", tt.args, got, tt.want)
			}
			return nil
		}
		runApp(app, strings.Fields(tt.args)...)
	}
}

// full is an output on a full disk.
type full struct{}

func (full) Write([]byte) (int, error) {
	return 0, &fs.PathError{Op: "write", Path: "/dev/stdout", Err: syscall.ENOSPC}
}

func TestFullOutputIsOneError(t *testing.T) {
	for name, action := range map[string]cli.ActionFunc{
		"at the end": func(c *cli.Context) error { fmt.Fprint(c.App.Writer, "x"); return nil },
		"noticed":    func(c *cli.Context) error { fmt.Fprint(c.App.Writer, "x"); return Flush(c.App.Writer) },
		"reported":   func(c *cli.Context) error { fmt.Fprint(c.App.Writer, "x"); Report(c, Flush(c.App.Writer)); return nil },
	} {
		var e bytes.Buffer
		app := testApp()
		app.Action = action
		status := Run(context.Background(), app, []string{app.Name}, nil, full{}, &e)
		if want := "nobodd-x: standard output: no space left on device\n"; status != 1 || e.String() != want {
			t.Errorf("%s: status %d, error %q; want 1, %q", name, status, e.String(), want)
		}
	}
	var e bytes.Buffer
	if status := Run(context.Background(), testApp(), []string{"nobodd-x", "--help"}, nil, full{}, &e); status != 1 || strings.Count(e.String(), "\n") != 1 {
		t.Errorf("--help: status %d, error %q", status, e.String())
	}
}

func TestPanicIsOneLine(t *testing.T) {
	app := testApp()
	app.Action = func(c *cli.Context) error { return errors.New(c.Args().Slice()[5]) }
	status, _, errs := runApp(app)
	if status != 1 || !strings.HasPrefix(errs, "nobodd-x: internal error: ") || strings.Count(errs, "\n") != 1 {
		t.Errorf("status %d, error %q", status, errs)
	}
}

func TestParseSize(t *testing.T) {
	for in, want := range map[string]int64{
		"0": 0, "512": 512, "16GB": 17179869184, "16G": 17179869184, "16gib": 17179869184, "16GiB": 17179869184, "16gB": 17179869184,
		"1K": 1024, "1kB": 1024, "3M": 3 << 20, "2T": 2 << 40, "1.5G": 3 << 29, ".5K": 512, "0.1K": 103, "1.5": 2,
		"007": 7, "9223372036854775807": 1<<63 - 1, "8388607.999999T": 9223372036853676297,
	} {
		if got, err := ParseSize(in); got != want || err != nil {
			t.Errorf("ParseSize(%q) = %d, %v; want %d", in, got, err, want)
		}
	}
	for _, in := range []string{
		"", " ", "16XB", "1e9", "16 GB", " 16GB", "16GB ", "-1", "+5", "-1G", "G", "GB", ".", ".G", "1.G", "1..5", "1.5.5", "1,5G", "1_000",
		"0x10", "16GBB", "16Gi B", "16P", "16iB", "Inf", "NaN", strings.Repeat("0", 65), "١٦", "16Gıb", "16\u212a", "1\x00", "1\n",
	} {
		_, err := ParseSize(in)
		want := "invalid size '" + in + "' (a size is a number with K, M, G or T, like 16GB)"
		if err == nil || err.Error() != want || !errors.As(err, new(UsageError)) {
			t.Errorf("ParseSize(%q): error %v, want %q", in, err, want)
		}
	}
	for _, in := range []string{"9223372036854775808", "8388608T", "99999999999999999999999T"} {
		_, err := ParseSize(in)
		if want := "invalid size '" + in + "': too large"; err == nil || err.Error() != want || !errors.As(err, new(UsageError)) {
			t.Errorf("ParseSize(%q): error %v, want %q", in, err, want)
		}
	}
}
