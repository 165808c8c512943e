// SPDX-License-Identifier: GPL-3.0-or-later

package fat_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"nobodd/internal/fat"
	"nobodd/internal/fatcheck"
	"nobodd/internal/testimg"
)

// fsckHarmless is what fsck.vfat -n may say of a volume that a cut left.
var fsckHarmless = regexp.MustCompile(`(?m)^(` + strings.Join([]string{
	`fsck\.fat .*`,
	`.*: \d+ files, \d+/\d+ clusters`,
	` *Reclaimed \d+ unused clusters? \(\d+ bytes\).*`,
	`Free cluster summary (wrong|uninitialized) \(.*\)?`,
	`  Auto-(correcting|setting)\.`,
	`FATs differ .*`,
	`  Using (first|second) FAT\.`,
	`Leaving filesystem unchanged\.`,
	`Dirty bit is set\. .*`,
	` *Automatically removing dirty bit\.`,
	`\*\*\* Filesystem was changed \*\*\*`,
	`The changes have not yet been written, you can still choose to leave the`,
	`filesystem unmodified:`,
}, "|") + `)?\n`)

// fsckSmall is what fsck.vfat says of every small FAT32 volume.
var fsckSmall = regexp.MustCompile(`(?m)^Warning: Filesystem is FAT32 .*\n.* less than the required minimum .*\n.* may lead to problems .*\n`)

// fsck lets fsck.vfat judge the volume in the file: with clean it must have nothing to say.
func fsck(file string, clean bool) error {
	out, err := exec.Command("fsck.vfat", "-n", file).CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return err
	}
	out = fsckSmall.ReplaceAll(out, nil)
	rest := fsckHarmless.ReplaceAll(out, nil)
	if clean && (err != nil || bytes.Count(out, []byte("\n")) != 2) || len(bytes.TrimSpace(rest)) > 0 {
		return fmt.Errorf("fsck.vfat -n: %v\n%s", err, out)
	}
	return nil
}

// A pulled plug leaves nothing worse than lost clusters, a wrong free count or FATs that differ.
func TestFaultsFsck(t *testing.T) {
	testimg.NeedPeer(t, "fsck.vfat")
	for _, name := range []string{"fat12", "fat32"} {
		img, _ := fixtureTree(t, name)
		file := filepath.Join(t.TempDir(), name)
		v := mustOpen(t, img)
		for _, o := range ops(int(v.ClusterSize())) {
			rec := testimg.NewRecorder(img)
			if err := change(rec, int64(len(img)), fat.TxOptions{NoSync: true}, o.plan); err != nil {
				t.Fatal(err)
			}
			for n := range rec.Len() + 1 {
				if err := os.WriteFile(file, rec.After(n).Bytes(), 0o666); err != nil {
					t.Fatal(err)
				}
				if err := fsck(file, n == rec.Len()); err != nil {
					t.Errorf("%s: %s: after %d of %d writes: %v", name, o.name, n, rec.Len(), err)
				}
			}
		}
	}
}

// Of a volume that ends before it says, fsck.vfat has nothing to say after every kind of change, once it is as long
// as it says.
func TestCutFsck(t *testing.T) {
	testimg.NeedPeer(t, "fsck.vfat")
	for _, name := range []string{"fat12", "fat16", "fat32-4k"} {
		img, _, tail := tailed(t, name)
		clu := int(mustOpen(t, img).ClusterSize())
		cut := testimg.NewPaged(img[:tail-1])
		file := filepath.Join(t.TempDir(), name)
		changes := []op{{name: "remove tail", plan: func(tx *fat.Tx) error { return tx.Remove("tail") }}}
		for _, m := range append(inPlace[:len(inPlace):len(inPlace)], copied...) {
			changes = append(changes, op{name: m.String(), plan: m.plan})
		}
		for _, o := range append(changes, ops(min(clu, 1024))...) {
			err := change(cut, cut.Size(), fat.TxOptions{NoSync: true}, o.plan)
			if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fat.ErrNotEmpty) { // after the changes before
				t.Errorf("%s: %s: %v", name, o.name, err)
			}
			whole := append(cut.Bytes(), make([]byte, len(img)-int(cut.Size()))...)
			if err := os.WriteFile(file, whole, 0o666); err != nil {
				t.Fatal(err)
			}
			if err := fsck(file, true); err != nil {
				t.Fatalf("%s: %s: %v", name, o.name, err)
			}
		}
	}
}

// disk is a volume in a file.
type disk struct {
	*os.File
	size int64
}

func (d disk) check(t *testing.T, want map[string][]byte) {
	t.Helper()
	got, err := fatcheck.ReadTree(d, d.size)
	if err != nil {
		t.Fatal(err)
	}
	diffTrees(t, got, want)
	r, err := fatcheck.Check(d, d.size)
	if err != nil {
		t.Fatal(err)
	}
	if !r.Clean() {
		t.Errorf("not clean: %v", r)
	}
	if err := fsck(d.Name(), true); err != nil {
		t.Error(err)
	}
}

// mkfs makes a volume of so many clusters with mkfs.vfat.
func mkfs(t *testing.T, width, sector, per, fats, clusters int) disk {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "disk.img"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	size := int64(sector) * int64(per) * int64(clusters)
	size += int64(fats)*int64(clusters)*int64(width)/8 + 128<<10
	size = size / 4096 * 4096
	if err := f.Truncate(size); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("mkfs.vfat", "-a", "-F", fmt.Sprint(width), "-S", fmt.Sprint(sector),
		"-s", fmt.Sprint(per), "-f", fmt.Sprint(fats), f.Name()).CombinedOutput()
	if err != nil {
		t.Fatalf("mkfs.vfat: %v\n%s", err, out)
	}
	return disk{f, size}
}

// mtools runs a program of mtools.
func mtools(t *testing.T, name string, args ...string) {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), "MTOOLSRC=/dev/null", "MTOOLS_SKIP_CHECK=1", "TZ=UTC", "LC_ALL=C.UTF-8")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
}

// Volumes of all shapes that mkfs.vfat makes: fsck.vfat has nothing to say after all kinds of changes, and
// mtools reads back what was written. TestFaultsFsck has it judge each change by itself.
func TestPeers(t *testing.T) {
	testimg.NeedPeer(t, "mkfs.vfat", "fsck.vfat", "mcopy", "mmd")
	for _, tt := range []struct{ width, sector, per, fats, clusters int }{
		{12, 512, 1, 2, 2000},
		{12, 512, 2, 1, 3900},
		{12, 512, 128, 2, 300},
		{12, 1024, 4, 2, 500},
		{12, 4096, 1, 2, 1000},
		{12, 4096, 128, 1, 200},
		{16, 512, 1, 2, 6000},
		{16, 512, 4, 1, 9000},
		{16, 512, 64, 2, 5000},
		{16, 512, 128, 2, 4200},
		{16, 2048, 2, 2, 5000},
		{16, 4096, 8, 2, 5000},
		{32, 512, 1, 2, 66000},
		{32, 512, 2, 1, 66000},
		{32, 512, 8, 2, 66000},
		{32, 512, 128, 2, 66000},
		{32, 1024, 1, 2, 66000},
		{32, 4096, 1, 2, 66000},
		{32, 4096, 8, 1, 66000},
	} {
		t.Run(fmt.Sprintf("FAT%d,sector=%d,per=%d,fats=%d", tt.width, tt.sector, tt.per, tt.fats), func(t *testing.T) {
			d := mkfs(t, tt.width, tt.sector, tt.per, tt.fats, tt.clusters)
			tree := map[string][]byte{}
			clu := tt.sector * tt.per
			base := op{"base", func(tx *fat.Tx) error {
				return errors.Join(
					tx.Mkdir("overlays", now), tx.Mkdir("overlays/deep", now), tx.Mkdir("EMPTYDIR", now),
					tx.WriteFile("README.TXT", source(pattern(100, 1))), tx.WriteFile("config.txt", source(pattern(clu, 2))),
					tx.WriteFile("piece1.bin", source(pattern(clu+1, 3))), tx.WriteFile("empty", source(nil)),
					tx.WriteFile("fragmented.bin", source(pattern(3*clu, 4))), tx.WriteFile("A longer name.text", source(pattern(9, 5))),
					tx.WriteFile("overlays/one with a long name.dtbo", source(pattern(1000, 6))),
					tx.WriteFile("overlays/deep/nested.cfg", source(pattern(clu-1, 7))))
			}, func(tree map[string][]byte) {
				tree["overlays/"], tree["overlays/deep/"], tree["EMPTYDIR/"] = nil, nil, nil
				tree["README.TXT"], tree["config.txt"] = pattern(100, 1), pattern(clu, 2)
				tree["piece1.bin"], tree["empty"] = pattern(clu+1, 3), nil
				tree["fragmented.bin"], tree["A longer name.text"] = pattern(3*clu, 4), pattern(9, 5)
				tree["overlays/one with a long name.dtbo"] = pattern(1000, 6)
				tree["overlays/deep/nested.cfg"] = pattern(clu-1, 7)
			}}
			for _, o := range append([]op{base}, ops(min(clu, 4096))...) {
				if strings.HasPrefix(o.name, "remove") {
					continue
				}
				if err := change(d, d.size, fat.TxOptions{NoSync: true}, o.plan); err != nil {
					t.Fatalf("%s: %v", o.name, err)
				}
				o.want(tree)
				if o.name == "create lower case" { // NEW.TXT, which is there, keeps its name
					delete(tree, "new.txt")
					tree["NEW.TXT"] = pattern(min(clu, 4096), 2)
				}
			}
			for _, m := range append(inPlace[:len(inPlace):len(inPlace)], copied...) {
				err := change(d, d.size, fat.TxOptions{NoSync: true}, m.plan)
				switch {
				case err == nil:
					m.want(tree)
				case !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fat.ErrNotEmpty): // after the moves before
					t.Fatalf("%v: %v", m, err)
				}
			}
			d.check(t, tree)
			compareMtools(t, d.Name(), tree)
			for _, o := range ops(min(clu, 4096)) {
				if !strings.HasPrefix(o.name, "remove") {
					continue
				}
				err := change(d, d.size, fat.TxOptions{NoSync: true}, o.plan)
				switch {
				case err == nil:
					o.want(tree)
				case errors.Is(err, fs.ErrNotExist), errors.Is(err, fat.ErrNotEmpty): // after the changes before
				default:
					t.Fatalf("%s: %v", o.name, err)
				}
			}
			d.check(t, tree)
		})
	}
}

// compareMtools compares what mcopy reads with want.
func compareMtools(t *testing.T, file string, want map[string][]byte) {
	t.Helper()
	dir := t.TempDir()
	mtools(t, "mcopy", "-s", "-i", file, "::*", dir)
	got := map[string][]byte{}
	err := fs.WalkDir(os.DirFS(dir), ".", func(path string, e fs.DirEntry, err error) error {
		switch {
		case err != nil || path == ".":
			return err
		case e.IsDir():
			got[path+"/"] = nil
			return nil
		}
		got[path], err = os.ReadFile(filepath.Join(dir, path))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	diffTrees(t, got, want)
}
