// SPDX-License-Identifier: GPL-3.0-or-later

package scripttest

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"nobodd/internal/testimg"
)

func TestMain(m *testing.M) { testimg.Main(m) }

func TestScripts(t *testing.T) {
	scripts := filepath.Join(testimg.Root(), "scripts")
	t.Setenv("PATH", strings.Join([]string{testimg.Commands(t), scripts, os.Getenv("PATH")}, ":"))
	testscript.Run(t, testscript.Params{
		Dir:                "testdata",
		RequireUniqueNames: true,
		Setup: func(env *testscript.Env) error {
			env.Values[tKey{}] = env.T()
			env.Setenv("TZ", "America/St_Johns")
			env.Setenv("GOCOVERDIR", os.Getenv("GOCOVERDIR"))
			env.Setenv("GORACE", os.Getenv("GORACE"))
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"bootfiles": bootFiles,
			"exits":     exits,
			"fixture":   fixture,
			"peer":      peer,
			"fsckclean": fsckClean,
			"poke":      poke,
		},
	})
}

// tKey is the key of the running test's testscript.T.
type tKey struct{}

func usage(ts *testscript.TestScript, neg, ok bool, text string) {
	if neg || !ok {
		ts.Fatalf("usage: %s", text)
	}
}

func exits(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, len(args) >= 2, "exits STATUS COMMAND [ARG]...")
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	got := 0
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		got = exit.ExitCode() // -1 if a signal ended it
	} else {
		ts.Check(err)
	}
	if got != want {
		ts.Fatalf("exit status %d (%v), want %d", got, err, want)
	}
}

func fixture(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, len(args) == 1 || len(args) == 2, "fixture NAME [FILE]")
	file := args[0] + ".img"
	if len(args) == 2 {
		file = args[1]
	}
	ts.Check(testimg.Unpack(args[0], ts.MkAbs(file)))
}

// bootFiles writes stand-ins for the boot files of a Pi 4 into a directory.
func bootFiles(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, len(args) == 3, "bootfiles DIR KERNELVERSION MODULEVERSION")
	dir := ts.MkAbs(args[0])
	ts.Check(os.MkdirAll(dir, 0o777))
	for name, data := range testimg.BootFiles(args[1], args[2]) {
		ts.Check(os.WriteFile(filepath.Join(dir, name), data, 0o666))
	}
}

func peer(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, len(args) > 0, "peer PROGRAM...")
	absent := testimg.Absent(args...)
	switch {
	case testing.Short():
		ts.Value(tKey{}).(testscript.T).Skip("compares with " + strings.Join(args, ", "))
	case len(absent) == 0:
	case os.Getenv("CI") != "":
		ts.Fatalf("needs %s, which CI must have", strings.Join(absent, ", "))
	default:
		ts.Value(tKey{}).(testscript.T).Skip("needs " + strings.Join(absent, ", "))
	}
}

func poke(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, len(args) == 4 || len(args) == 6 && args[3] == "from", "poke FILE TEXT OFFSET HEX, or poke FILE TEXT OFFSET from TEXT OFFSET")
	file := ts.MkAbs(args[0])
	img, err := os.ReadFile(file)
	ts.Check(err)
	find := func(text, offset string) int {
		at := bytes.Index(img, []byte(text))
		off, err := strconv.Atoi(offset)
		ts.Check(err)
		if at < 0 || at+off < 0 || at+off+2 > len(img) {
			ts.Fatalf("no %q%+d in %s", text, off, args[0])
		}
		return at + off
	}
	at := find(args[1], args[2])
	if len(args) == 6 {
		from := find(args[4], args[5])
		copy(img[at:], img[from:from+2])
	} else {
		data, err := hex.DecodeString(args[3])
		ts.Check(err)
		copy(img[at:], data)
	}
	ts.Check(testimg.WriteSparse(file, img))
}

// smallFAT32 is what fsck.vfat says of every small FAT32 volume.
var smallFAT32 = regexp.MustCompile(`(?s)Warning: Filesystem is FAT32 according to fat_length.*may lead to problems on some systems\.\n`)

func fsckClean(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, len(args) == 1 || len(args) == 2, "fsckclean FILE [NUM]")
	if testing.Short() || len(testimg.Absent("fsck.vfat", "sfdisk")) > 0 && os.Getenv("CI") == "" {
		return
	}
	volume := ts.MkAbs(args[0])
	if len(args) == 2 {
		num, err := strconv.Atoi(args[1])
		ts.Check(err)
		volume, err = cutPartition(volume, num)
		ts.Check(err)
		defer os.Remove(volume)
	}
	out, err := exec.Command("fsck.vfat", "-n", volume).CombinedOutput()
	said := smallFAT32.ReplaceAllString(string(out), "")
	if err != nil || strings.Count(said, "\n") != 2 { // its version and a summary
		ts.Fatalf("fsck.vfat -n %s: %v\n%s", args[0], err, out)
	}
}

// cutPartition copies partition num of the image to a temporary file. sfdisk says
// where it is.
func cutPartition(image string, num int) (string, error) {
	out, err := exec.Command("sfdisk", "--json", image).Output()
	if err != nil {
		return "", fmt.Errorf("sfdisk --json %s: %w", image, err)
	}
	var dump struct {
		PartitionTable struct {
			SectorSize int64
			Partitions []struct {
				Node        string
				Start, Size int64
			}
		}
	}
	if err := json.Unmarshal(out, &dump); err != nil {
		return "", err
	}
	table := dump.PartitionTable
	for _, p := range table.Partitions {
		suffix := strings.TrimPrefix(strings.TrimPrefix(p.Node, image), "p")
		if suffix == strconv.Itoa(num) {
			return cut(image, p.Start*table.SectorSize, p.Size*table.SectorSize)
		}
	}
	return "", fmt.Errorf("%s: no partition %d in %s", image, num, out)
}

func cut(image string, start, size int64) (path string, err error) {
	f, err := os.Open(image)
	if err != nil {
		return "", err
	}
	defer f.Close()
	part, err := io.ReadAll(io.NewSectionReader(f, start, size))
	if err != nil {
		return "", err
	}
	path = image + "-part"
	return path, testimg.WriteSparse(path, part)
}
