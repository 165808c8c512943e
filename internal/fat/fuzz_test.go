// SPDX-License-Identifier: GPL-3.0-or-later

package fat_test

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"testing"

	"nobodd/internal/fat"
	"nobodd/internal/testimg"
)

// FuzzOpen opens damaged volumes and reads all there is to read: it ends, every error is about damage,
// and nothing is written. A change made to such a volume ends, too.
func FuzzOpen(f *testing.F) {
	seeds := testimg.Seeds()
	if len(seeds) == 0 {
		f.Fatal("no seeds")
	}
	for _, img := range seeds {
		f.Add(img)
	}
	f.Fuzz(openDamaged)
}

// FuzzDamage is FuzzOpen on healthy volumes with single bytes changed: pokes are three bytes each, two of the
// offset, which is scaled to where the volume has its structures, and one of the value.
func FuzzDamage(f *testing.F) {
	for seed := range uint64(8) {
		f.Add(byte(seed), randomBytes(seed, 30))
	}
	f.Fuzz(func(t *testing.T, volume byte, pokes []byte) {
		img := testimg.Fixture(t, modelVolumes[int(volume)%len(modelVolumes)])
		for ; len(pokes) >= 3; pokes = pokes[3:] {
			off := int(pokes[0])<<8 | int(pokes[1])
			if off >= 512 { // after the boot sector, anywhere in the first 192 KiB
				off = 512 + (off-512)*3
			}
			img[off%len(img)] = pokes[2]
		}
		openDamaged(t, img)
	})
}

// openDamaged does with a volume what FuzzOpen says.
func openDamaged(t *testing.T, img []byte) {
	disk := testimg.Mem(bytes.Clone(img))
	v, err := fat.Open(disk, int64(len(disk)))
	if err != nil {
		if !errors.Is(err, fat.ErrCorrupt) && !errors.Is(err, fat.ErrNotFAT) {
			t.Fatalf("Open = %v", err)
		}
		return
	}
	v.Label()
	v.InUse()
	if _, err := v.Free(); err != nil {
		t.Errorf("Free: %v", err)
	}
	readAll(t, v)
	if !bytes.Equal(disk, img) {
		t.Error("reading changed the volume")
	}
	err = change(disk, int64(len(disk)), fat.TxOptions{Force: true}, func(tx *fat.Tx) error {
		tx.Rename("overlays/deep", "moved", nil)
		tx.Rename("fragmented.bin", "Fragments.bin", nil)
		tx.Rename("piece1.bin", "EMPTYDIR/piece", nil)
		tx.RemoveAll("overlays")
		tx.WriteFile("config.txt", source([]byte("replaced")))
		tx.WriteFile("a new file", source([]byte("new")))
		return nil
	})
	if err != nil && !errors.Is(err, fat.ErrCorrupt) && !errors.As(err, new(*fat.NoSpaceError)) && !errors.As(err, new(*fs.PathError)) {
		t.Errorf("Commit: %v", err)
	}
}

// readAll reads each file once. How much is read is bounded, as clusters may belong to many files.
func readAll(t *testing.T, v *fat.FS) {
	left := int64(64 << 20)
	fs.WalkDir(v, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil && !errors.Is(err, fat.ErrCorrupt) && !errors.Is(err, fat.ErrNotDir) { // two of the same name
			t.Errorf("%q: %v", path, err)
		}
		if err != nil || d.IsDir() || left <= 0 {
			return nil
		}
		file, err := v.OpenFile(path)
		if err != nil {
			if !errors.Is(err, fat.ErrCorrupt) && !errors.Is(err, fat.ErrIsDir) { // two of the same name
				t.Errorf("%q: %v", path, err)
			}
			return nil
		}
		n, err := file.WriteTo(io.Discard)
		if err != nil || n != file.Size() {
			t.Errorf("%q: read %d of %d bytes: %v", path, n, file.Size(), err)
		}
		left -= n
		return nil
	})
}
