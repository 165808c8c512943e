// SPDX-License-Identifier: GPL-3.0-or-later

package testimg

import (
	"bytes"
	"compress/gzip"
	"embed"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"strings"
	"sync"
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

// Fixture returns the bytes of the named image. Each call returns bytes of its own.
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
	img, err := unpacked(name)
	if err != nil {
		return nil, err
	}
	return img.Bytes(), nil
}

// images holds the images that were asked for, by name: func() (*Paged, error).
var images sync.Map

// unpacked returns the named image, which is unpacked once.
func unpacked(name string) (*Paged, error) {
	once, _ := images.LoadOrStore(name, sync.OnceValues(func() (*Paged, error) {
		packed, err := fixtures.ReadFile("testdata/" + name + ".img.gz")
		if err != nil {
			return nil, fmt.Errorf("no fixture %q (there are %s)", name, strings.Join(Names(), ", "))
		}
		img, err := unpack(packed)
		if err != nil {
			return nil, fmt.Errorf("fixture %s: %w", name, err)
		}
		return NewPaged(img), nil
	}))
	return once.(func() (*Paged, error))()
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
	img, err := unpacked(name)
	if err != nil {
		return err
	}
	return img.writeSparse(path)
}

// WriteSparse writes img to path, leaving out what is zero.
func WriteSparse(path string, img []byte) error {
	return NewPaged(img).writeSparse(path)
}
