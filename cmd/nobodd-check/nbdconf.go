// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"nobodd/internal/image"
)

const (
	maxConf    = 1 << 20 // bytes of a configuration file
	maxExports = 100_000
)

// exports are what NBD servers export: the path of each export by its name.
type exports struct {
	from  []string // where they were looked for
	paths map[string]string
}

// readExports reads what --nbd-conf names: files of nbd-server, folders with such files, or
// folders that nbdkit exports. It returns nil if nothing is named.
func readExports(names []string) (*exports, error) {
	if len(names) == 0 {
		return nil, nil
	}
	e := &exports{from: names, paths: map[string]string{}}
	var errs []error
	for _, name := range names {
		info, err := os.Stat(name)
		switch {
		case err != nil:
		case info.IsDir():
			err = e.readFolder(name)
		default:
			err = e.readConf(name, 0)
		}
		if err != nil {
			errs = append(errs, failure(name, err))
		}
	}
	return e, errors.Join(errs...)
}

// readFolder reads the *.conf of a folder; in one that has none every entry is an export.
func (e *exports) readFolder(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	var confs []string
	for _, entry := range entries {
		if strings.HasSuffix(entry.Name(), ".conf") {
			confs = append(confs, filepath.Join(dir, entry.Name()))
		}
	}
	for _, conf := range confs {
		if err := e.readConf(conf, 1); err != nil {
			return err
		}
	}
	if len(confs) == 0 {
		for _, entry := range entries {
			e.add(entry.Name(), filepath.Join(dir, entry.Name()))
		}
	}
	return nil
}

func (e *exports) add(name, path string) {
	if len(e.paths) < maxExports {
		e.paths[name] = path
	}
}

// readConf reads a file of nbd-server: sections with exportname, and includedir in [generic], which
// only the main file (depth 0) may have. See nbd-server(5).
func (e *exports) readConf(name string, depth int) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	section, includes := "", ""
	lines := bufio.NewScanner(io.LimitReader(f, maxConf))
	lines.Buffer(nil, maxConf)
	for lines.Scan() {
		line := strings.TrimSpace(lines.Text())
		key, value, ok := strings.Cut(line, "=")
		key, value = strings.TrimSpace(key), strings.TrimSpace(value)
		switch {
		case strings.HasPrefix(line, "#"):
		case strings.HasPrefix(line, "["):
			section, _, _ = strings.Cut(line[1:], "]")
		case !ok:
		case section == "generic" && key == "includedir":
			includes = value
		case section != "generic" && key == "exportname":
			e.add(section, value)
		}
	}
	if err := lines.Err(); err != nil {
		return err
	}
	if includes == "" || depth > 0 {
		return nil
	}
	return e.readIncludes(name, includes)
}

func (e *exports) readIncludes(conf, dir string) error {
	if !filepath.IsAbs(dir) {
		dir = filepath.Join(filepath.Dir(conf), dir)
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.conf"))
	if err != nil {
		return err
	}
	slices.Sort(files)
	for _, file := range files {
		if err := e.readConf(file, 1); err != nil {
			return failure(file, err)
		}
	}
	return nil
}

// find reports whether there is an export called name that is the image at path.
func (e *exports) find(name, path string) (ok bool, found, do string) {
	exported, ok := e.paths[name]
	where := strings.Join(e.from, ", ")
	switch {
	case !ok && len(e.paths) == 0:
		return false, fmt.Sprintf("no export %s in %s, nor any other", name, where),
			"write one with nobodd-prep --nbd-conf or --nbd-link, and let the server read it"
	case !ok:
		const most = 5
		names := slices.Sorted(maps.Keys(e.paths))
		if len(names) > most {
			names = append(names[:most], "...")
		}
		return false, fmt.Sprintf("no export %s in %s (there are %s)", name, where, strings.Join(names, ", ")),
			"write one with nobodd-prep --nbd-conf or --nbd-link, and let the server read it"
	case image.Key(exported) != image.Key(path):
		return false, fmt.Sprintf("the export %s is %s, which is not this image", name, exported),
			"name the image's own export with nobodd-prep --nbd-name, or correct the server's configuration"
	}
	return true, fmt.Sprintf("%s in %s is this image", name, where), ""
}
