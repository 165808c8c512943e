// SPDX-License-Identifier: GPL-3.0-or-later

package testimg

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestSeeds(t *testing.T) {
	if len(Seeds()) < 10 || len(TableSeeds()) < 7 {
		t.Errorf("%d and %d seeds", len(Seeds()), len(TableSeeds()))
	}
}

func TestFixtureFileIsWhole(t *testing.T) {
	path := FixtureFile(t, "fat16-4k")
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, Fixture(t, "fat16-4k")) {
		t.Error("the file is not the fixture")
	}
	if filepath.Base(path) != "fat16-4k.img" {
		t.Errorf("called %s", path)
	}
	if _, err := Bytes("nonesuch"); err == nil || !strings.HasPrefix(err.Error(), `no fixture "nonesuch" (there are dirty16, `) {
		t.Errorf("Bytes of an unknown name: %v", err)
	}
}
