// SPDX-License-Identifier: GPL-3.0-or-later

package tree

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"nobodd/internal/addr"
	"nobodd/internal/fat"
)

// files are made in the present directory: a directory's name ends in a slash, a value
// that begins with "->" is a symbolic link, "fifo" a fifo, "socket" a socket.
type files map[string]string

func (f files) make(t *testing.T) {
	t.Helper()
	for _, name := range slices.Sorted(maps.Keys(f)) {
		if dir := filepath.Dir(strings.TrimSuffix(name, "/")); dir != "." {
			must(t, os.MkdirAll(dir, 0o777))
		}
		target, link := strings.CutPrefix(f[name], "->")
		switch {
		case strings.HasSuffix(name, "/"):
			must(t, os.MkdirAll(name, 0o777))
		case link:
			must(t, os.Symlink(target, name))
		case f[name] == "fifo":
			must(t, syscall.Mkfifo(name, 0o666))
		case f[name] == "socket":
			must(t, syscall.Mknod(name, syscall.S_IFSOCK|0o666, 0))
		default:
			must(t, os.WriteFile(name, []byte(f[name]), 0o666))
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// found returns what is below the present directory in the same form.
func found(t *testing.T) files {
	t.Helper()
	f := files{}
	must(t, filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil || path == ".":
			return err
		case d.IsDir():
			f[path+"/"] = ""
		case d.Type()&fs.ModeSymlink != 0:
			target, err := os.Readlink(path)
			f[path] = "->" + target
			return err
		case d.Type()&fs.ModeNamedPipe != 0:
			f[path] = "fifo"
		case d.Type()&fs.ModeSocket != 0:
			f[path] = "socket"
		default:
			data, err := os.ReadFile(path)
			f[path] = string(data)
			return err
		}
		return nil
	}))
	return f
}

// whole returns f with the directories that its names imply.
func (f files) whole() files {
	all := files{}
	maps.Copy(all, f)
	for name := range f {
		for dir := filepath.Dir(strings.TrimSuffix(name, "/")); dir != "."; dir = filepath.Dir(dir) {
			all[dir+"/"] = ""
		}
	}
	return all
}

// fakeEnv is the Env of a test.
type fakeEnv struct {
	stdin   io.Reader
	out     *bytes.Buffer
	waiting func(image string) func()
}

func (e fakeEnv) Stdin() io.Reader                { return e.stdin }
func (e fakeEnv) Stdout() io.Writer               { return e.out }
func (e fakeEnv) Waiting(image string) func()     { return e.waiting(image) }
func (e fakeEnv) Warn(format string, args ...any) { fmt.Fprintf(e.out, format+"\n", args...) }
func (fakeEnv) Progress(int64) (func(int64), func()) {
	return func(int64) {}, func() {}
}
func (fakeEnv) OnSignal(func()) (done func()) { return func() {} }

func testEnv(stdin string) (fakeEnv, *bytes.Buffer) {
	out := &bytes.Buffer{}
	return fakeEnv{strings.NewReader(stdin), out, func(string) func() { return func() {} }}, out
}

// messages returns each error as the commands print it: all are *addr.Error.
func messages(t *testing.T, err error) string {
	t.Helper()
	var lines []string
	for _, err := range flatten(err) {
		if err, ok := err.(*addr.Error); !ok {
			t.Errorf("%T: %v", err, err)
		}
		lines = append(lines, err.Error())
	}
	return strings.Join(lines, "\n")
}

// flatten undoes errors.Join.
func flatten(err error) []error {
	if err == nil {
		return nil
	}
	list, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return []error{err}
	}
	var flat []error
	for _, err := range list.Unwrap() {
		flat = append(flat, flatten(err)...)
	}
	return flat
}

// TestCopyLocal copies between paths of this machine. What is changed is what is in
// want; everything else stays as it was.
func TestCopyLocal(t *testing.T) {
	r := CopyOptions{Recursive: true}
	for _, tt := range []struct {
		name    string
		have    files
		opt     CopyOptions
		args    string
		stdin   string
		want    files
		out     string
		wantErr string
	}{
		{name: "new file", have: files{"a": "1"}, args: "a b", want: files{"b": "1"}},
		{name: "over a file", have: files{"a": "1", "b": "old"}, args: "a b", want: files{"b": "1"}},
		{name: "empty file", have: files{"a": "", "b": "old"}, args: "a b", want: files{"b": ""}},
		{name: "into a directory", have: files{"a": "1", "d/": ""}, args: "a d", want: files{"d/a": "1"}},
		{name: "into a directory by slash", have: files{"a": "1", "d/": ""}, args: "a d/", want: files{"d/a": "1"}},
		{name: "several", have: files{"a": "1", "b": "2", "d/": ""}, args: "a b d", want: files{"d/a": "1", "d/b": "2"}},
		{name: "several into what is no directory", have: files{"a": "1", "b": "2", "c": "3"}, args: "a b c", wantErr: "c: not a directory"},
		{name: "several into nothing", have: files{"a": "1", "b": "2"}, args: "a b c", wantErr: "c: no such file or directory"},
		{name: "-t", have: files{"a": "1", "d/": ""}, opt: CopyOptions{IntoDir: true}, args: "a d", want: files{"d/a": "1"}},
		{name: "-t nothing", have: files{"a": "1"}, opt: CopyOptions{IntoDir: true}, args: "a d", wantErr: "d: no such file or directory"},
		{name: "-t a file", have: files{"a": "1", "d": "2"}, opt: CopyOptions{IntoDir: true}, args: "a d", wantErr: "d: not a directory"},
		{name: "-T onto a directory", have: files{"a": "1", "d/": ""}, opt: CopyOptions{NoTargetDir: true}, args: "a d",
			wantErr: "d: cannot overwrite directory with non-directory 'a'"},
		{name: "-T merges", have: files{"a/x": "1", "d/y": "2"}, opt: CopyOptions{NoTargetDir: true, Recursive: true}, args: "a d", want: files{"d/x": "1"}},
		{name: "slash after what is new", have: files{"a": "1"}, args: "a d/", wantErr: "d/: not a directory"},
		{name: "slash after a file", have: files{"a": "1", "d": "2"}, args: "a d/", wantErr: "d/: not a directory"},
		{name: "slash after a source", have: files{"a": "1"}, args: "a/ b", wantErr: "a/: not a directory"},
		{name: "no parent", have: files{"a": "1"}, args: "a d/b", wantErr: "d/b: no such file or directory"},
		{name: "a file for a parent", have: files{"a": "1", "d": "2"}, args: "a d/b", wantErr: "d/b: not a directory"},
		{name: "a missing source does not stop the rest", have: files{"b": "2", "d/": ""}, args: "a b d", want: files{"d/b": "2"},
			wantErr: "a: no such file or directory"},
		{name: "directory without -r", have: files{"a/x": "1", "b": "2", "d/": ""}, args: "a b d", want: files{"d/b": "2"},
			wantErr: "a: -r not specified; omitting directory"},
		{name: "-r to a new name", have: files{"a/b/x": "1", "a/e/": ""}, opt: r, args: "a n", want: files{"n/b/x": "1", "n/e/": ""}},
		{name: "-r to a new name with a slash", have: files{"a/x": "1"}, opt: r, args: "a n/", want: files{"n/x": "1"}},
		{name: "-r into", have: files{"a/x": "1", "d/": ""}, opt: r, args: "a d", want: files{"d/a/x": "1"}},
		{name: "-r merges", have: files{"a/x": "1", "a/s/y": "2", "d/a/x": "old", "d/a/s/z": "3"}, opt: r, args: "a d",
			want: files{"d/a/x": "1", "d/a/s/y": "2"}},
		{name: "-r of a dot", have: files{"a/x": "1", "d/": ""}, opt: r, args: "a/. d", want: files{"d/x": "1"}},
		{name: "a file over a directory", have: files{"a/x": "1", "d/a/x/": ""}, opt: r, args: "a d",
			wantErr: "d/a/x: cannot overwrite directory with non-directory 'a/x'"},
		{name: "a directory over a file", have: files{"a/x/y": "1", "a/z": "3", "d/a/x": "2"}, opt: r, args: "a d", want: files{"d/a/z": "3"},
			wantErr: "d/a/x: cannot overwrite non-directory with directory 'a/x'"},
		{name: "a directory in the place of a file", have: files{"a/x": "1", "d": "2"}, opt: r, args: "a d",
			wantErr: "d: cannot overwrite non-directory with directory 'a'"},
		{name: "onto itself", have: files{"a": "1"}, args: "a ./a", wantErr: "a: the same file as './a'"},
		{name: "onto itself in its directory", have: files{"a": "1"}, args: "a .", wantErr: "a: the same file as './a'"},
		{name: "onto itself by a symbolic link", have: files{"a": "1", "l": "->a"}, args: "a l", wantErr: "a: the same file as 'l'"},
		{name: "a directory onto itself", have: files{"a/x": "1"}, opt: r, args: "a .", wantErr: "a: the same file as './a'"},
		{name: "a directory into itself", have: files{"a/x": "1"}, opt: r, args: "a a/b", wantErr: "a: cannot copy a directory into itself, 'a/b'"},
		{name: "a directory deep into itself", have: files{"a/b/c/": ""}, opt: r, args: "a a/b/c", wantErr: "a: cannot copy a directory into itself, 'a/b/c/a'"},
		{name: "a directory into itself by a link", have: files{"a/x": "1", "l": "->a"}, opt: r, args: "a l/b", wantErr: "a: cannot copy a directory into itself, 'l/b'"},
		{name: "into what a link leads to", have: files{"a/l": "->../d/a", "a/x": "1", "d/a/y": "2"}, opt: r, args: "a d", want: files{"d/a/x": "1"},
			wantErr: "a/l: cannot copy a directory into itself, 'd/a/l'"},
		{name: "same names", have: files{"a/x": "1", "b/x": "2", "d/": ""}, args: "a/x b/x d", want: files{"d/x": "1"},
			wantErr: "d/x: will not overwrite just-created file with 'b/x'"},
		{name: "same names, -n", have: files{"a/x": "1", "b/x": "2", "d/": ""}, opt: CopyOptions{NoClobber: true}, args: "a/x b/x d", want: files{"d/x": "1"}},
		{name: "a source twice", have: files{"a": "1", "d/": ""}, args: "a ./a d", want: files{"d/a": "1"},
			out: "warning: source file './a' specified more than once\n"},
		{name: "a source that is written", have: files{"a/x": "1", "d/x": "2", "e/": ""}, args: "a/x d/x d", want: files{"d/x": "1"},
			wantErr: "d/x: the same file as 'd/x'"},
		{name: "directories of the same name", have: files{"a/s/x": "1", "b/s/y": "2", "d/": ""}, opt: r, args: "a/s b/s d",
			want: files{"d/s/x": "1", "d/s/y": "2"}},
		{name: "-n", have: files{"a": "1", "b": "old"}, opt: CopyOptions{NoClobber: true}, args: "a b"},
		{name: "-n onto itself", have: files{"a": "1"}, opt: CopyOptions{NoClobber: true}, args: "a a"},
		{name: "-n of a new file", have: files{"a": "1"}, opt: CopyOptions{NoClobber: true}, args: "a b", want: files{"b": "1"}},
		{name: "nothing to skip where a directory is to be made", have: files{"d/x": "1", "o/d": "2", "to/": ""},
			opt: CopyOptions{Recursive: true, NoClobber: true}, args: "d o/d to", want: files{"to/d/": "", "to/d/x": "1"},
			wantErr: "to/d: cannot overwrite directory with non-directory 'o/d'"},
		{name: "what the directory around one holds", have: files{"a/s/y": "2", "a/x": "1", "d/": ""}, opt: r, args: "a/s/.. d",
			want: files{"d/s/": "", "d/s/y": "2", "d/x": "1"}},
		{name: "links are followed", have: files{"a": "1", "l": "->a", "s/l": "->../a", "d/": ""}, opt: r, args: "l s d",
			want: files{"d/l": "1", "d/s/l": "1"}},
		{name: "a link to nothing", have: files{"l": "->no", "b": "1", "d/": ""}, args: "l b d", want: files{"d/b": "1"}, wantErr: "l: no such file or directory"},
		{name: "a link to itself", have: files{"l": "->l"}, args: "l b", wantErr: "l: too many levels of symbolic links"},
		{name: "a directory loop", have: files{"a/s/up": "->..", "a/x": "1"}, opt: r, args: "a b", want: files{"b/s/": "", "b/x": "1"},
			wantErr: "a/s/up: leads back to a directory around it"},
		{name: "through a link", have: files{"a": "1", "t/b": "old", "l": "->t/b"}, args: "a l", want: files{"t/b": "1"}},
		{name: "through a link to nothing", have: files{"a": "1", "l": "->no"}, args: "a l", wantErr: "l: not writing through a dangling symbolic link"},
		{name: "a fifo", have: files{"f": "fifo", "a": "1", "d/": ""}, args: "f a d", want: files{"d/a": "1"}, wantErr: "f: is a fifo, not a file or directory (- is standard input)"},
		{name: "a socket", have: files{"s": "socket", "a": "1", "d/": ""}, args: "s a d", want: files{"d/a": "1"},
			wantErr: "s: is a socket, not a file or directory (- is standard input)"},
		{name: "onto a fifo", have: files{"f": "fifo", "a": "1"}, args: "a f", wantErr: "f: is a fifo, which nobodd-cat can write to"},
		{name: "a device", args: "/dev/null b", wantErr: "/dev/null: is a device, not a file or directory (- is standard input)"},
		{name: "stdin", args: "- b", stdin: "in", want: files{"b": "in"}},
		{name: "stdin over", have: files{"b": "old"}, args: "- b", stdin: "in", want: files{"b": "in"}},
		{name: "stdin into a directory", have: files{"d/": ""}, args: "- d", stdin: "in",
			wantErr: "-: standard input needs the name of a file to write, not the directory 'd'"},
		{name: "stdin and others", have: files{"a": "1", "d/": ""}, args: "- a d", stdin: "in", want: files{"d/a": "1"},
			wantErr: "-: standard input needs the name of a file to write, not the directory 'd'"},
		{name: "an empty name", have: files{"a": "1", "d/": ""}, args: "a  d", want: files{"d/a": "1"}, wantErr: "'': an empty path"},
		{name: "-v", have: files{"a/b/x": "1", "a/c": "2", "d/": ""}, opt: CopyOptions{Recursive: true, Verbose: true}, args: "a d",
			want: files{"d/a/b/x": "1", "d/a/c": "2"},
			out:  "'a' -> 'd/a'\n'a/b' -> 'd/a/b'\n'a/b/x' -> 'd/a/b/x'\n'a/c' -> 'd/a/c'\n"},
		{name: "-v of empty directories", have: files{"a/b/": ""}, opt: CopyOptions{Recursive: true, Verbose: true}, args: "a d",
			want: files{"d/b/": ""}, out: "'a' -> 'd'\n'a/b' -> 'd/b'\n"},
		{name: "no image", have: files{"a": "1"}, args: "i.img:1:/x a", wantErr: "i.img:1:/x: no such image"},
		{name: "a whole image", have: files{"i.img": "1"}, args: "i.img: b",
			wantErr: "i.img:: this is the image itself (i.img:/ is the root directory of its boot partition)"},
	} {
		for _, noSync := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/nosync=%t", tt.name, noSync), func(t *testing.T) {
				t.Chdir(t.TempDir())
				tt.have.make(t)
				env, out := testEnv(tt.stdin)
				args := strings.Split(tt.args, " ")
				tt.opt.NoSync = noSync
				err := Copy(env, tt.opt, args[:len(args)-1], args[len(args)-1])
				if got := messages(t, err); got != tt.wantErr {
					t.Errorf("error\n%s\nwant\n%s", got, tt.wantErr)
				}
				if out.String() != tt.out {
					t.Errorf("output\n%swant\n%s", out, tt.out)
				}
				want := tt.have.whole()
				maps.Copy(want, tt.want.whole())
				if got := found(t); !maps.Equal(got, want) {
					t.Errorf("left %q, want %q", got, want)
				}
			})
		}
	}
}

func TestCopyLocalTimes(t *testing.T) {
	old := time.Date(2001, 2, 3, 4, 5, 6, 700, time.UTC)
	older := old.Add(-time.Second)
	for _, tt := range []struct {
		name     string
		opt      CopyOptions
		src, dst time.Time
		copied   bool
	}{
		{"-u, source newer", CopyOptions{Update: true}, old, older, true},
		{"-u, same time", CopyOptions{Update: true}, old, old, false},
		{"-u, source older", CopyOptions{Update: true}, older, old, false},
		{"-p", CopyOptions{Preserve: true}, older, old, true},
		{"-p -u", CopyOptions{Preserve: true, Update: true}, old, older, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Chdir(t.TempDir())
			files{"a": "new", "b": "old"}.make(t)
			must(t, os.Chtimes("a", tt.src, tt.src))
			must(t, os.Chtimes("b", tt.dst, tt.dst))
			env, _ := testEnv("")
			must(t, Copy(env, tt.opt, []string{"a"}, "b"))
			if got := found(t)["b"] == "new"; got != tt.copied {
				t.Errorf("copied = %t, want %t", got, tt.copied)
			}
			fi, err := os.Stat("b")
			must(t, err)
			want := tt.dst
			if tt.copied && tt.opt.Preserve {
				want = tt.src
			} else if tt.copied {
				want = fi.ModTime()
			}
			if !fi.ModTime().Equal(want) {
				t.Errorf("time = %v, want %v", fi.ModTime(), want)
			}
		})
	}
}

func TestPreserveTimeOfDirectories(t *testing.T) {
	t.Chdir(t.TempDir())
	files{"a/x": "1", "a/s/y": "2"}.make(t)
	old := time.Date(2001, 2, 3, 4, 5, 6, 0, time.UTC)
	must(t, os.Chtimes("a/s", old, old))
	must(t, os.Chtimes("a", old, old))
	env, _ := testEnv("")
	must(t, Copy(env, CopyOptions{Recursive: true, Preserve: true}, []string{"a"}, "b"))
	for _, name := range []string{"b", "b/s"} {
		if fi, err := os.Stat(name); err != nil || !fi.ModTime().Equal(old) {
			t.Errorf("%s: %v, %v; want %v", name, fi.ModTime(), err, old)
		}
	}
}

func TestModes(t *testing.T) {
	t.Chdir(t.TempDir())
	defer syscall.Umask(syscall.Umask(0o027))
	files{"a": "1", "b": "2"}.make(t)
	must(t, os.Chmod("b", 0o751))
	env, _ := testEnv("")
	must(t, Copy(env, CopyOptions{}, []string{"a"}, "b"))
	must(t, Copy(env, CopyOptions{}, []string{"a"}, "c"))
	must(t, os.Chmod("a", 0o755))
	must(t, Copy(env, CopyOptions{}, []string{"a"}, "d"))
	for name, want := range map[string]fs.FileMode{"b": 0o751, "c": 0o640, "d": 0o750} {
		if fi, err := os.Stat(name); err != nil || fi.Mode() != want {
			t.Errorf("%s: mode %v, %v; want %v", name, fi.Mode(), err, want)
		}
	}
}

func TestWriteProtected(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("root may write to everything")
	}
	t.Chdir(t.TempDir())
	files{"a": "1", "b": "old"}.make(t)
	must(t, os.Chmod("b", 0o444))
	env, _ := testEnv("")
	if got := messages(t, Copy(env, CopyOptions{}, []string{"a"}, "b")); got != "b: permission denied" {
		t.Errorf("error %q", got)
	}
	if got := found(t)["b"]; got != "old" {
		t.Errorf("b holds %q", got)
	}
	must(t, Copy(env, CopyOptions{Force: true}, []string{"a"}, "b"))
	if got := found(t)["b"]; got != "1" {
		t.Errorf("with Force b holds %q", got)
	}
}

func TestWriteLocal(t *testing.T) {
	for _, tt := range []struct{ dest, wantErr string }{
		{"new", ""},
		{"old", ""},
		{"d", "d: is a directory"},
		{"d/", "d/: is a directory"},
		{"new/", "new/: not a directory"},
		{"no/new", "no/new: no such file or directory"},
		{"socket", "socket: no such device or address"},
	} {
		t.Run(strings.ReplaceAll(tt.dest, "/", "_"), func(t *testing.T) {
			t.Chdir(t.TempDir())
			have := files{"old": "old", "d/": "", "socket": "socket"}
			have.make(t)
			env, _ := testEnv("")
			to, err := Parse(tt.dest)
			must(t, err)
			spool := &Spool{Dest: to}
			io.WriteString(spool, "text")
			if got := messages(t, Write(env, CopyOptions{}, spool)); got != tt.wantErr {
				t.Errorf("error %q, want %q", got, tt.wantErr)
			}
			if tt.wantErr == "" {
				have[tt.dest] = "text"
			}
			if left := found(t); !maps.Equal(left, have) {
				t.Errorf("left %q, want %q", left, have)
			}
		})
	}
}

func TestSpool(t *testing.T) {
	for _, size := range []int{0, 1, spoolMemory, spoolMemory + 1, 3 * spoolMemory} {
		data := bytes.Repeat([]byte("0123456789abcdef!"), size/17+1)[:size]
		var s Spool
		for p, n := data, 100_000; len(p) > 0; n *= 2 {
			n = min(n, len(p))
			_, err := s.Write(p[:n])
			must(t, err)
			p = p[n:]
		}
		for range 2 {
			if got, err := io.ReadAll(s.Open()); err != nil || !bytes.Equal(got, data) || s.size != int64(size) {
				t.Errorf("size %d: got %d bytes, %v, size %d", size, len(got), err, s.size)
			}
		}
		if (s.file != nil) != (size > spoolMemory) {
			t.Errorf("size %d: file %v", size, s.file)
		}
		must(t, s.Close())
	}
}

// Whatever a tree below says of its half of an address becomes the words of errno(3) after the address.
func TestFailure(t *testing.T) {
	a := addr.Addr{Text: "vol.img:1:/x"}
	for err, want := range map[error]string{
		&fs.PathError{Op: "open", Path: "x", Err: syscall.EACCES}:               "permission denied",
		&os.LinkError{Op: "rename", Old: "x", New: "y", Err: fs.ErrNotExist}:    "no such file or directory",
		&fs.PathError{Err: &os.SyscallError{Syscall: "read", Err: syscall.EIO}}: "input/output error",
		fs.ErrExist:         "file exists",
		fs.ErrInvalid:       "invalid argument",
		io.ErrUnexpectedEOF: "unexpected end of file",
		fat.ErrIsDir:        "is a directory",
	} {
		if got := failure(a, err).Error(); got != "vol.img:1:/x: "+want {
			t.Errorf("%#v: %q, want %q", err, got, want)
		}
	}
}

// Input that no file of a volume can hold is not kept to its end, which may never come.
func TestSpoolTooLarge(t *testing.T) {
	for text, want := range map[string]string{
		"vol.img:1:/x": "vol.img:1:/x: too large: a file has at most 4294967295 bytes",
		"x":            "",
	} {
		a, err := addr.Parse(text, nil)
		must(t, err)
		s := Spool{Dest: a, size: fat.MaxFile - 1}
		_, err = s.Write([]byte("x"))
		must(t, err)
		_, err = s.Write([]byte("x"))
		if got := messages(t, err); got != want {
			t.Errorf("for %s: error %q, want %q", text, got, want)
		}
	}
}

func TestQuote(t *testing.T) {
	for in, want := range map[string]string{
		"a b":       `'a b'`,
		"":          `''`,
		"it's":      `"it's"`,
		"it's $5":   `'it'\''s $5'`,
		"a\nb":      `'a'$'\n''b'`,
		"\x1b[1m":   `''$'\033''[1m'`,
		"caf\u00e9": "'caf\u00e9'",
		"\xff":      `''$'\377'''`,
		"\n\ufffd":  "''$'\\n''\ufffd'",
		`"x"`:       `'"x"'`,
	} {
		if got := quote(in); got != want {
			t.Errorf("quote(%q) = %s, want %s", in, got, want)
		}
	}
}
