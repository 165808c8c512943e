// SPDX-License-Identifier: GPL-3.0-or-later

package image

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// Look is what addr.Parse asks for: whether anything is at path, and whether it is a regular
// file or a block device, or a symbolic link to one, which could be an image.
func Look(path string) (exists, isFile bool) {
	if _, err := os.Lstat(path); err != nil {
		return false, false
	}
	fi, err := os.Stat(path)
	return true, err == nil && checkKind(fi) == nil
}

// IsFile reports whether path is an existing file that could be an image, as Look does.
func IsFile(path string) bool {
	_, is := Look(path)
	return is
}

// Key returns the identity of the image at path: the same for all names of one file, and
// for all nodes of one block device. Where nothing is there, the path stands for itself.
func Key(path string) string {
	fi, err := os.Stat(path)
	if err != nil {
		return "path " + path
	}
	return KeyOf(fi)
}

// KeyOf is Key of the file or block device that fi, of package os, describes.
func KeyOf(fi fs.FileInfo) string {
	st := fi.Sys().(*syscall.Stat_t)
	if isBlock(fi) {
		return fmt.Sprintf("device %d", st.Rdev)
	}
	return "file " + strconv.FormatUint(st.Dev, 10) + ":" + strconv.FormatUint(st.Ino, 10)
}

// checkKind returns an error for what can be no image.
func checkKind(fi fs.FileInfo) error {
	switch mode := fi.Mode(); {
	case mode.IsRegular(), isBlock(fi):
		return nil
	case mode.IsDir():
		return syscall.EISDIR
	}
	return errors.New("neither a regular file nor a block device")
}

func isBlock(fi fs.FileInfo) bool { return fi.Mode().Type() == fs.ModeDevice }

// openedFile is what an open regular file and an open block device have in common.
type openedFile struct{ f *os.File }

func (o *openedFile) ReadAt(p []byte, off int64) (int, error) {
	n, err := o.f.ReadAt(p, off)
	return n, cause(err)
}

func (o *openedFile) WriteAt(p []byte, off int64) (int, error) {
	n, err := o.f.WriteAt(p, off)
	return n, cause(err)
}

func (o *openedFile) Sync() error  { return cause(o.f.Sync()) }
func (o *openedFile) Close() error { return cause(o.f.Close()) }

func (o *openedFile) Size() (int64, error) {
	size, err := o.f.Seek(0, io.SeekEnd) // Stat knows no size of a block device
	return size, cause(err)
}

// lock takes the lock of mode; if it has to wait for it, it calls waiting (may be nil) before.
func (o *openedFile) lock(mode Mode, waiting func()) error {
	how := unix.LOCK_SH
	switch mode {
	case Unlocked:
		return nil
	case Write:
		how = unix.LOCK_EX
	}
	fd := int(o.f.Fd())
	err := flock(fd, how|unix.LOCK_NB)
	if !errors.Is(err, unix.EWOULDBLOCK) {
		return lockless(err, mode)
	}
	if waiting != nil {
		waiting()
	}
	return flock(fd, how)
}

// lockless returns what err, of flock(2), means for mode. Where a file system has no locks, as NFS without
// a lock manager, nothing can hold one that a reader should wait for; but two writers would both go ahead.
func lockless(err error, mode Mode) error {
	switch {
	case !errors.Is(err, unix.ENOLCK) && !errors.Is(err, unix.EOPNOTSUPP) && !errors.Is(err, unix.ENOSYS):
		return err
	case mode == Read:
		return nil
	}
	return fmt.Errorf("%w: the file system that it is on cannot lock it, so it is only read "+
		"(NFS can, with its lock manager or mounted with local_lock=flock)", err)
}

func flock(fd, how int) error {
	for {
		if err := unix.Flock(fd, how); err != unix.EINTR {
			return err
		}
	}
}

// isAt reports whether path still leads to the open file.
func (o *openedFile) isAt(path string) bool {
	now, err := os.Stat(path)
	if err != nil {
		return false // opening it anew says why
	}
	mine, err := o.f.Stat()
	return err != nil || os.SameFile(now, mine)
}

// regularFile is a Storage whose size can change.
type regularFile struct{ *openedFile }

func (r regularFile) Truncate(size int64) error { return cause(r.f.Truncate(size)) }

// blockDevice is a Storage that knows its sector size.
type blockDevice struct{ *openedFile }

func (b blockDevice) SectorSize() (int64, error) {
	n, err := unix.IoctlGetInt(int(b.f.Fd()), unix.BLKSSZGET)
	return int64(n), err
}

// openFile opens the file or block device at path, and locks it as mode asks.
func openFile(path string, mode Mode, waiting func()) (*openedFile, error) {
	fi, err := os.Stat(path)
	if err == nil {
		err = checkKind(fi) // before opening: a fifo would block, some devices act on it
	}
	if err != nil {
		return nil, err
	}
	flag := os.O_RDONLY
	if mode == Write {
		flag = os.O_RDWR
	}
	f, err := os.OpenFile(path, flag|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	o := &openedFile{f}
	if mode == Write && isBlock(fi) && o.isReadOnly() {
		o.Close()
		return nil, errReadOnly
	}
	if err := o.lock(mode, waiting); err != nil {
		o.Close()
		return nil, err
	}
	return o, nil
}

// errReadOnly is for a device that opens all the same, and refuses what is written to it.
var errReadOnly = errors.New("the device is read-only (an SD card and many a reader have a switch for that)")

// isReadOnly reports whether the block device o is set read-only.
func (o *openedFile) isReadOnly() bool {
	ro, err := unix.IoctlGetInt(int(o.f.Fd()), unix.BLKROGET)
	return err == nil && ro != 0
}

// storage returns the open file as what it is. A block device that is opened for writing
// drops what the page cache holds of it, lest a stale FAT is the base of a write.
func (o *openedFile) storage(mode Mode, cache Cache) (Storage, error) {
	fi, err := o.f.Stat()
	if err == nil {
		err = checkKind(fi) // the path may have changed its kind before it was opened
	}
	if err != nil {
		return nil, err
	}
	var st Storage = regularFile{o}
	if isBlock(fi) {
		st = blockDevice{o}
	}
	switch {
	case mode == Write && isBlock(fi):
		return st, rawFD{o}.drop(0, 0)
	case mode == Write, cache == CacheAlways, cache == CacheAuto && !isBlock(fi):
		return st, nil
	}
	return newUncached(st, rawFD{o}, alignment(st, o)), nil
}

// cause takes the path and the operation off an error of package os.
func cause(err error) error {
	if err == nil || err == io.EOF {
		return err // most of what reads and writes return, without a search
	}
	if pe := (*fs.PathError)(nil); errors.As(err, &pe) {
		return pe.Err
	}
	return err
}
