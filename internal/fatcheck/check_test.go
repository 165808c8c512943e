// SPDX-License-Identifier: GPL-3.0-or-later

package fatcheck

import (
	"bytes"
	"errors"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"

	"nobodd/internal/testimg"
)

// plain are the volumes that the recipe's tree function filled.
var plain = []string{
	"dirty16", "dirty32", "fat12", "fat12-one", "fat12-s128", "fat16", "fat16-4k", "fat16-s4",
	"fat32", "fat32-4k", "fat32-active", "fat32-one", "fat32-s128", "fat32-s8",
}

func check(t *testing.T, img []byte) *Report {
	t.Helper()
	r, err := Check(bytes.NewReader(img), int64(len(img)))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestFixturesAreClean(t *testing.T) {
	for _, name := range append([]string{"names"}, plain...) {
		r := check(t, testimg.Fixture(t, name))
		if !r.Clean() {
			t.Errorf("%s: %s", name, r)
		}
		if want := strings.HasPrefix(name, "dirty"); r.Dirty != want {
			t.Errorf("%s: dirty is %v", name, r.Dirty)
		}
		if name != "names" && !strings.Contains(name, strconv.Itoa(r.Width)) {
			t.Errorf("%s: FAT%d", name, r.Width)
		}
	}
}

func TestReadTree(t *testing.T) {
	want := []string{
		"A longer name.text", "EMPTYDIR/", "README.TXT", "config.txt", "empty", "fragmented.bin",
		"overlays/", "overlays/deep/", "overlays/deep/nested.cfg", "overlays/disable-bt.dtbo",
		"overlays/dwc2.dtbo", "overlays/overlay_map.dtb", "overlays/vc4-kms-v3d-pi4.dtbo",
		"piece1.bin", "piece3.bin", "piece5.bin",
	}
	for _, name := range plain {
		img := testimg.Fixture(t, name)
		tree, err := ReadTree(bytes.NewReader(img), int64(len(img)))
		if err != nil {
			t.Fatal(name, err)
		}
		var got []string
		for path := range tree {
			got = append(got, path)
		}
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("%s: %q", name, got)
		}
		if got := string(tree["README.TXT"]); got != "An image for the tests of nobodd.\n" {
			t.Errorf("%s: README.TXT is %q", name, got)
		}
		if got, want := len(tree["fragmented.bin"]), 3*int(check(t, img).ClusterSize)+100; got != want {
			t.Errorf("%s: fragmented.bin has %d bytes, not %d", name, got, want)
		}
	}
}

func TestReadTreeNames(t *testing.T) {
	img := testimg.Fixture(t, "names")
	tree, err := ReadTree(bytes.NewReader(img), int64(len(img)))
	if err != nil {
		t.Fatal(err)
	}
	for name, size := range map[string]int{
		"lower.txt": 15, "loweron.TXT": 17, "UPPERON.txt": 17, "noext": 11, "😀 beyond the BMP.txt": 31,
		"日本語のファイル.txt": 34, ".hidden": 13, "+,;=[].txt": 16, strings.Repeat("0", 250) + "1.txt": 261,
		"A directory with a long name/a common beginning 11": 11,
	} {
		if data, ok := tree[name]; !ok || len(data) != size {
			t.Errorf("%q: there %v, %d bytes, want %d", name, ok, len(data), size)
		}
	}
}

// Each row does one damage to a healthy volume, which the checker must name.
func TestCheckFindsDamage(t *testing.T) {
	const rootEnd = 512 + 2*512 + 64*32 // of the fixture fat12
	entry := func(img []byte, short string) int {
		at := bytes.Index(img, []byte(short))
		if at < 0 {
			t.Fatalf("no entry %q", short)
		}
		return at
	}
	for _, tt := range []struct {
		name, fixture string
		damage        func(img []byte)
		want          string
	}{
		{"cross-link", "fat12", func(img []byte) {
			a, b := entry(img, "README  TXT"), entry(img, "CONFIG  TXT")
			copy(img[a+26:a+28], img[b+26:b+28])
		}, "belongs to /README.TXT already"},
		{"chain too short", "fat12", func(img []byte) { img[entry(img, "README  TXT")+29] = 2 }, "1 clusters for 546 bytes, not 2"},
		{"chain too long", "fat12", func(img []byte) { img[entry(img, "FRAGME~1BIN")+29] = 1 }, "/fragmented.bin: 4 clusters"},
		{"size without clusters", "fat12", func(img []byte) { img[entry(img, "EMPTY      ")+28] = 1 }, "/empty: 0 clusters for 1 bytes, not 1"},
		{"cluster out of range", "fat12", func(img []byte) { img[entry(img, "README  TXT")+27] = 9 }, "/README.TXT: cluster 2306 is out of range"},
		{"bad dot", "fat12", func(img []byte) { img[entry(img, ".          ")+26]++ }, `"." leads to cluster`},
		{"bad dot dot", "fat12", func(img []byte) { img[entry(img, "..         ")+26]++ }, `".." leads to cluster`},
		{"no dot", "fat12", func(img []byte) { img[entry(img, ".          ")] = 0xe5 }, `entry 0 is not "."`},
		{"directory with a size", "fat12", func(img []byte) { img[entry(img, "OVERLAYS   ")+28] = 1 }, "/overlays/: a directory of size 1"},
		{"long name of another", "fat12", func(img []byte) { img[entry(img, "ALONGE~1TEX")] = 'B' }, "is not its own"},
		{"orphaned long name", "fat12", func(img []byte) { img[entry(img, "ALONGE~1TEX")] = 0xe5 }, "long name without an entry"},
		{"incomplete long name", "fat12", func(img []byte) { img[entry(img, "ALONGE~1TEX")-64] = 0xe5 }, "long name out of order"},
		{"duplicate", "fat12", func(img []byte) { copy(img[entry(img, "PIECE3  BIN"):], "PIECE1") }, "two entries are called PIECE1.BIN"},
		{"bad short name", "fat12", func(img []byte) { img[entry(img, "README  TXT")] = 'r' }, "bad short name"},
		{"after the end", "fat12", func(img []byte) { img[rootEnd-1] = 1 }, "something follows the end"},
		{"free cluster in a chain", "fat12", func(img []byte) { clear(img[512+3 : 1024]); clear(img[1024+3 : 1536]) }, "free cluster"},
		{"label in a directory", "fat12", func(img []byte) { img[entry(img, "NESTED  CFG")+11] |= 8 }, "a volume label that does not belong here"},
		{"media byte", "fat12", func(img []byte) { img[512] = 0xf0 }, "media byte"},
		{"no FSInfo", "fat32", func(img []byte) { img[512] = 0 }, "no FSInfo"},
		{"second FAT only", "fat32", func(img []byte) {
			second := int(le.Uint16(img[14:])+uint16(le.Uint32(img[36:]))) * 512
			at := entry(img, "FRAGME~1BIN")
			copy(img[second+4*int(le.Uint16(img[at+26:])):], []byte{0, 0, 0, 0})
		}, "second FAT: /fragmented.bin"},
	} {
		img := testimg.Fixture(t, tt.fixture)
		tt.damage(img)
		r := check(t, img)
		if !slices.ContainsFunc(r.Damage, func(line string) bool { return strings.Contains(line, tt.want) }) {
			t.Errorf("%s: found %q, not %q", tt.name, r.Damage, tt.want)
		}
		if r.Clean() || r.Harmless() {
			t.Errorf("%s: called clean or harmless", tt.name)
		}
	}
}

func TestCheckLeftovers(t *testing.T) {
	img := testimg.Fixture(t, "fat32")
	fat := int(le.Uint16(img[14:])) * 512
	second := fat + int(le.Uint32(img[36:]))*512
	last := 4 * 600
	for _, off := range []int{fat + last, second + last} {
		copy(img[off:], "\xff\xff\xff\x0f")
	}
	r := check(t, img)
	if !r.Harmless() || r.LostClusters != 1 || !r.FreeCountWrong || r.CopiesDiffer {
		t.Errorf("a lost cluster in both copies: %+v", r)
	}
	clear(img[second+last : second+last+4])
	r = check(t, img)
	if !r.Harmless() || r.LostClusters != 1 || !r.CopiesDiffer {
		t.Errorf("a lost cluster in one copy: %+v", r)
	}
	if got, want := r.String(), "1 lost clusters\nwrong free count\nFAT copies differ"; got != want {
		t.Errorf("String() = %q, want %q", got, want)
	}
	copy(img[512+488:], "\xff\xff\xff\xff")
	if r = check(t, img); r.FreeCountWrong {
		t.Error("an unknown free count is called wrong")
	}
	copy(img[512+492:], "\xff\xff\x00\x00")
	if r = check(t, img); !r.HintWrong || r.Clean() {
		t.Error("a hint outside the volume is not seen")
	}
}

func TestCheckRefuses(t *testing.T) {
	for _, name := range []string{"mbr", "gpt", "pinn", "ubuntu"} {
		img := testimg.Fixture(t, name)
		if r, err := Check(bytes.NewReader(img), int64(len(img))); !errors.Is(err, ErrNotFAT) {
			t.Errorf("%s: %v, %v", name, r, err)
		}
	}
	for _, img := range [][]byte{nil, make([]byte, 100), make([]byte, 4096)} {
		if _, err := Check(bytes.NewReader(img), int64(len(img))); !errors.Is(err, ErrNotFAT) {
			t.Errorf("%d zero bytes: %v", len(img), err)
		}
	}
}

// fsck.vfat must agree with Check about every volume.
func TestCheckAgreesWithFsck(t *testing.T) {
	testimg.NeedPeer(t, "fsck.vfat")
	for _, name := range append([]string{"names", "orphans"}, plain...) {
		if strings.HasPrefix(name, "dirty") || name == "fat32-active" {
			continue // fsck.vfat finds fault with what these are for
		}
		path := testimg.FixtureFile(t, name)
		err := exec.Command("fsck.vfat", "-n", path).Run()
		if clean := check(t, testimg.Fixture(t, name)).Clean(); clean != (err == nil) {
			t.Errorf("%s: clean is %v, fsck.vfat says %v", name, clean, err)
		}
	}
}

func TestSeedsAreRead(t *testing.T) {
	for i, img := range testimg.Seeds() {
		if _, err := Check(bytes.NewReader(img), int64(len(img))); err != nil && !errors.Is(err, ErrNotFAT) {
			t.Errorf("seed %d: %v", i, err)
		}
	}
}

// FuzzCheck: the second reader itself must survive every image, or it judges nothing.
// What is fuzzed are changes to a seed: three bytes of offset, one to put there.
func FuzzCheck(f *testing.F) {
	seeds := testimg.Seeds()
	if len(seeds) == 0 {
		f.Fatal("no seeds")
	}
	for i := range seeds {
		f.Add(uint8(i), []byte{})
	}
	f.Fuzz(func(t *testing.T, seed uint8, changes []byte) {
		img := bytes.Clone(seeds[int(seed)%len(seeds)])
		for c := range slices.Chunk(changes, 4) {
			if off := int(c[0])<<16 | int(c[1%len(c)])<<8 | int(c[2%len(c)]); off < len(img) {
				img[off] = c[len(c)-1]
			}
		}
		r, err := Check(bytes.NewReader(img), int64(len(img)))
		tree, terr := ReadTree(bytes.NewReader(img), int64(len(img)))
		if err != nil {
			if terr == nil {
				t.Errorf("Check: %v, but ReadTree gave %d files", err, len(tree))
			}
			return
		}
		if r.Harmless() && terr != nil {
			t.Errorf("harmless, but %v", terr)
		}
	})
}
