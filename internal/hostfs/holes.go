// SPDX-License-Identifier: GPL-3.0-or-later

package hostfs

import (
	"errors"
	"io"
	"os"

	"golang.org/x/sys/unix"

	"nobodd/internal/fat"
)

// copyFile writes the source to w. A file of this machine keeps its holes. failed is what is
// wrong with the source, err is that of w.
func copyFile(w *os.File, src fat.Source, buf []byte) (failed, err error) {
	r, err := src.Open()
	if err != nil {
		return err, nil
	}
	defer r.Close()
	write := func(p []byte) error {
		_, err := w.Write(p)
		return err
	}
	f, ok := r.(*file)
	if !ok || !f.holes {
		return src.CopyFrom(r, buf, write)
	}
	return copyHoles(w, f, src, buf)
}

// copyHoles copies r, a file with holes, data by data, and leaves out what is between.
func copyHoles(w *os.File, r *file, src fat.Source, buf []byte) (failed, err error) {
	for off := int64(0); off < src.Size; {
		data, end, err := nextData(r, off, src.Size)
		if err != nil {
			return err, nil
		}
		src.Progress(data - off)
		for off = data; off < end; {
			p := buf[:min(end-off, int64(len(buf)))]
			if _, err := r.ReadAt(p, off); err == io.EOF {
				return fat.ErrShrank, nil
			} else if err != nil {
				return err, nil
			}
			if _, err := w.WriteAt(p, off); err != nil {
				return nil, err
			}
			src.Progress(int64(len(p)))
			off += int64(len(p))
		}
	}
	fi, err := r.Stat()
	switch {
	case err != nil:
		return err, nil
	case fi.Size() < src.Size:
		return fat.ErrShrank, nil
	case fi.Size() > src.Size:
		return fat.ErrGrew, nil
	}
	return nil, w.Truncate(src.Size)
}

// nextData returns where the first data from off on begins, and where it ends; size where there
// is no more.
func nextData(r *file, off, size int64) (data, end int64, err error) {
	data, err = unix.Seek(r.fd, off, unix.SEEK_DATA)
	if errors.Is(err, unix.ENXIO) {
		return size, size, nil
	}
	if err == nil {
		end, err = unix.Seek(r.fd, data, unix.SEEK_HOLE)
	}
	return min(data, size), min(end, size), err
}
