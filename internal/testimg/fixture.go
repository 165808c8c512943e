// SPDX-License-Identifier: GPL-3.0-or-later

package testimg

import (
	"bytes"
	"compress/gzip"
	"embed"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The images are made by testdata/make-fixtures.sh with real formatters.
//
//go:embed testdata/*.img.gz
var fixtures embed.FS

// Names returns the names of all fixtures, sorted.
func Names() []string {
	files, err := fs.Glob(fixtures, "testdata/*.img.gz")
	if err != nil {
		panic(err) // the pattern is a constant
	}
	for i, file := range files {
		files[i] = strings.TrimSuffix(filepath.Base(file), ".img.gz")
	}
	return files
}

// Fixture returns the bytes of the named image. Each call gives bytes of its own.
func Fixture(t testing.TB, name string) []byte {
	t.Helper()
	img, err := Bytes(name)
	if err != nil {
		t.Fatal(err)
	}
	return img
}

// FixtureFile unpacks the named image to NAME.img in a temporary directory of its own
// and returns the path. The file is sparse.
func FixtureFile(t testing.TB, name string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name+".img")
	if err := Unpack(name, path); err != nil {
		t.Fatal(err)
	}
	return path
}

// Bytes returns the bytes of the named image.
func Bytes(name string) ([]byte, error) {
	packed, err := fixtures.ReadFile("testdata/" + name + ".img.gz")
	if err != nil {
		return nil, fmt.Errorf("no fixture %q (there are %s)", name, strings.Join(Names(), ", "))
	}
	img, err := unpack(packed)
	if err != nil {
		return nil, fmt.Errorf("fixture %s: %w", name, err)
	}
	return img, nil
}

func unpack(packed []byte) ([]byte, error) {
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(z)
}

// Unpack writes the named image to path as a sparse file.
func Unpack(name, path string) error {
	img, err := Bytes(name)
	if err != nil {
		return err
	}
	return WriteSparse(path, img)
}

// WriteSparse writes img to path, leaving out what is zero.
func WriteSparse(path string, img []byte) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := f.Truncate(int64(len(img))); err != nil {
		return err
	}
	const piece = 4096
	zero := make([]byte, piece)
	for off := 0; off < len(img); off += piece {
		p := img[off:min(off+piece, len(img))]
		if bytes.Equal(p, zero[:len(p)]) {
			continue
		}
		if _, err := f.WriteAt(p, int64(off)); err != nil {
			return err
		}
	}
	return f.Close()
}
