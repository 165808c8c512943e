// SPDX-License-Identifier: GPL-3.0-or-later

package installtest

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"nobodd/internal/testimg"
)

var commands = []string{"nobodd-cat", "nobodd-check", "nobodd-cp", "nobodd-ls", "nobodd-mkdir", "nobodd-mv", "nobodd-resize", "nobodd-rm", "nobodd-tftpd", "nobodd-prep", "nobodd-farm"}

var units = []string{"nobodd-tftpd.service", "nobodd-tftpd.socket", "nobodd-nbdkit.service", "nobodd-nbdkit.socket"}

// installed is all that make install puts in place: name and permissions.
func installed(prefix string) map[string]fs.FileMode {
	files := map[string]fs.FileMode{
		prefix + "/lib/sysusers.d/nobodd.conf":    0o644,
		prefix + "/share/doc/nobodd/nobodd.conf":  0o644,
		prefix + "/share/doc/nobodd/README.md":    0o644,
		prefix + "/share/doc/nobodd/CHANGELOG.md": 0o644,
		"etc/nobodd/nobodd.conf":                  0o644,
	}
	for _, u := range units {
		files[prefix+"/lib/systemd/system/"+u] = 0o644
	}
	for _, c := range commands {
		files[prefix+"/bin/"+c] = 0o755
		files[prefix+"/share/bash-completion/completions/"+c] = 0o644
		files[prefix+"/share/fish/vendor_completions.d/"+c+".fish"] = 0o644
		section := "1"
		if c == "nobodd-tftpd" {
			section = "8"
		}
		files[prefix+"/share/man/man"+section+"/"+c+"."+section] = 0o644
	}
	files[prefix+"/share/zsh/site-functions/_nobodd"] = 0o644
	files[prefix+"/share/man/man5/nobodd.conf.5"] = 0o644
	files[prefix+"/share/man/man7/nobodd-address.7"] = 0o644
	files[prefix+"/share/man/man7/nobodd-netboot.7"] = 0o644
	return files
}

// found returns the files below dir with their permissions.
func found(t *testing.T, dir string) map[string]fs.FileMode {
	t.Helper()
	files := map[string]fs.FileMode{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err == nil {
			files[name] = info.Mode().Perm()
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func compare(t *testing.T, got, want map[string]fs.FileMode) {
	t.Helper()
	for name, mode := range want {
		if g, ok := got[name]; !ok {
			t.Errorf("%s is not there", name)
		} else if g != mode {
			t.Errorf("%s has mode %o, want %o", name, g, mode)
		}
	}
	for name := range got {
		if _, ok := want[name]; !ok {
			t.Errorf("%s is there and should not be", name)
		}
	}
}

// source copies the source tree, so that building leaves no trace in the real one, and
// builds the programs there.
func source(t *testing.T) string {
	t.Helper()
	testimg.NeedPeer(t, "make")
	dst := t.TempDir()
	for _, dir := range []string{"cmd", "internal", "man", "scripts"} {
		if err := os.CopyFS(filepath.Join(dst, dir), os.DirFS(filepath.Join("../..", dir))); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"go.mod", "go.sum", "Makefile", "LICENSE", "README.md", "CHANGELOG.md", "Containerfile", ".containerignore"} {
		write(t, filepath.Join(dst, name), read(t, filepath.Join("../..", name)))
	}
	run(t, dst, "make", "-s", "build")
	return dst
}

// run runs a command in dir and returns what it printed.
func run(t *testing.T, dir, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestInstall(t *testing.T) {
	src := source(t)
	t.Run("Files", func(t *testing.T) { testFiles(t, src) })
	t.Run("Configuration", func(t *testing.T) { testConfiguration(t, src) })
	t.Run("Units", func(t *testing.T) { testUnits(t, src) })
	t.Run("Dist", func(t *testing.T) { testDist(t, src) })
	t.Run("Deb", func(t *testing.T) { testDeb(t, src) })
	t.Run("Container", func(t *testing.T) { testContainer(t, src) })
}

func testFiles(t *testing.T, src string) {
	for _, prefix := range []string{"usr", "usr/local"} {
		root := filepath.Join(t.TempDir(), "a root")
		args := []string{"-s", "DESTDIR=" + root, "PREFIX=/" + prefix}
		run(t, src, "make", append(args, "install")...)
		compare(t, found(t, root), installed(prefix))

		bin := filepath.Join(root, prefix, "bin")
		version := strings.TrimPrefix(run(t, bin, "./nobodd-ls", "--version"), "nobodd-ls ")
		if got := run(t, bin, "./nobodd-prep", "--version"); got != "nobodd-prep "+version {
			t.Errorf("nobodd-prep is %q beside nobodd-ls %s", got, version)
		}

		// A configuration that was changed stays as it is.
		conf := filepath.Join(root, "etc/nobodd/nobodd.conf")
		write(t, conf, "[tftp]\n")
		run(t, src, "make", append(args, "install")...)
		if got := read(t, conf); got != "[tftp]\n" {
			t.Errorf("a second installation changed the configuration to:\n%s", got)
		}
		run(t, src, "make", append(args, "uninstall")...)
		compare(t, found(t, root), map[string]fs.FileMode{"etc/nobodd/nobodd.conf": 0o644})

		if err := os.Remove(conf); err != nil {
			t.Fatal(err)
		}
		run(t, src, "make", append(args, "install")...)
		run(t, src, "make", append(args, "uninstall")...)
		compare(t, found(t, root), nil)
		if _, err := os.Stat(filepath.Dir(conf)); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %v, want it to be gone", filepath.Dir(conf), err)
		}
	}
}

// sampleImage is an image of the sample configuration.
var sampleImage = regexp.MustCompile(`/srv/images/\S+`)

// The configuration that is installed is one that the daemon takes.
func testConfiguration(t *testing.T, src string) {
	root := t.TempDir()
	run(t, src, "make", "-s", "DESTDIR="+root, "PREFIX=/usr", "install")
	tftpd := filepath.Join(root, "usr/bin/nobodd-tftpd")
	conf := filepath.Join(root, "etc/nobodd")
	run(t, root, tftpd, "--check", "--config", filepath.Join(conf, "nobodd.conf"))

	// With its examples in force, too.
	image := testimg.FixtureFile(t, "ubuntu")
	var lines []string
	for line := range strings.Lines(read(t, filepath.Join(conf, "nobodd.conf"))) {
		if text := strings.TrimPrefix(line, "#"); strings.HasPrefix(text, "[") || strings.Contains(text, " = ") {
			line = sampleImage.ReplaceAllLiteralString(text, image)
		}
		lines = append(lines, line)
	}
	write(t, filepath.Join(conf, "nobodd.conf"), strings.Join(lines, ""))
	write(t, filepath.Join(conf, "conf.d/second.conf"), "[board:1]\nimage = "+image+"\n")
	out := run(t, root, tftpd, "--check", "--config", filepath.Join(conf, "nobodd.conf"))
	if !strings.Contains(out, "89025d75") || !strings.Contains(out, "00000001") {
		t.Errorf("nobodd-tftpd --check lacks a board:\n%s", out)
	}
}

func testUnits(t *testing.T, src string) {
	testimg.NeedPeer(t, "systemd-analyze", "nbdkit")
	root := t.TempDir()
	run(t, src, "make", "-s", "DESTDIR="+root, "PREFIX=/usr", "install")
	dir := filepath.Join(root, "usr/lib/systemd/system")
	service := filepath.Join(dir, "nobodd-tftpd.service")
	// systemd looks for the program in directories of its own.
	text := read(t, service)
	found := strings.Replace(text, "ExecStart=nobodd-tftpd", "ExecStart="+filepath.Join(root, "usr/bin/nobodd-tftpd"), 1)
	if found == text {
		t.Fatal("no ExecStart=nobodd-tftpd in the service")
	}
	write(t, service, found)
	// It looks for the pages that Documentation names, too, where there is man(1).
	t.Setenv("MANPATH", filepath.Join(root, "usr/share/man"))
	verify := []string{"verify"}
	for _, u := range units {
		verify = append(verify, "./"+u)
	}
	if _, err := exec.LookPath("man"); err != nil {
		verify = append(verify, "--man=no")
	}
	if out := run(t, dir, "systemd-analyze", verify...); out != "" {
		t.Errorf("systemd-analyze verify:\n%s", out)
	}
	for _, u := range units {
		if strings.HasSuffix(u, ".service") {
			testExposure(t, filepath.Join(dir, u))
		}
	}
}

// testExposure fails if systemd thinks that the service could do much harm.
func testExposure(t *testing.T, service string) {
	t.Helper()
	out := run(t, filepath.Dir(service), "systemd-analyze", "security", "--offline=true", "--no-pager", service)
	_, rest, ok := strings.Cut(out, "Overall exposure level for "+filepath.Base(service)+": ")
	if !ok {
		t.Fatalf("systemd-analyze security:\n%s", out)
	}
	exposure, err := strconv.ParseFloat(strings.Fields(rest)[0], 64)
	if err != nil || exposure > 2.0 {
		t.Errorf("%s: exposure %v, %v; want at most 2.0", service, exposure, err)
	}
}

func testDist(t *testing.T, src string) {
	testimg.NeedPeer(t, "git", "tar")
	t.Cleanup(func() { os.RemoveAll(filepath.Join(src, ".git")) })
	write(t, filepath.Join(src, ".gitignore"), "/bin/\n/dist/\n")
	git := []string{"-c", "user.name=test", "-c", "user.email=test@localhost", "-c", "init.defaultBranch=main"}
	run(t, src, "git", append(git, "init", "-q")...)
	run(t, src, "git", append(git, "add", "-A")...)
	run(t, src, "git", append(git, "commit", "-q", "-m", "all")...)
	run(t, src, "make", "-s", "dist")
	archives, err := filepath.Glob(filepath.Join(src, "dist/nobodd-*.tar.gz"))
	if err != nil || len(archives) != 1 {
		t.Fatalf("archives: %v, %v", archives, err)
	}
	out := t.TempDir()
	run(t, out, "tar", "-xzf", archives[0])
	dirs, err := filepath.Glob(filepath.Join(out, "nobodd-*"))
	if err != nil || len(dirs) != 1 {
		t.Fatalf("archive holds %v, %v", dirs, err)
	}
	run(t, dirs[0], "make", "-s", "build")
	sources, err := filepath.Glob(filepath.Join(src, "cmd/nobodd-*"))
	if err != nil {
		t.Fatal(err)
	}
	names, err := filepath.Glob(filepath.Join(dirs[0], "bin/nobodd-*"))
	if err != nil || len(names) == 0 || len(names) != len(sources) {
		t.Errorf("the archive builds %v, %v", names, err)
	}
}

// testContainer builds the container image in a network of its own, where nothing can be fetched.
func testContainer(t *testing.T, src string) {
	testimg.NeedPeer(t, "buildah", "unshare")
	if os.Getuid() != 0 || exec.Command("unshare", "--net", "--mount", "true").Run() != nil {
		t.Skip("needs root, and namespaces")
	}
	dir := t.TempDir()
	buildah := func(args ...string) string {
		t.Helper()
		return run(t, src, "unshare", append([]string{"--net", "buildah", "--root", filepath.Join(dir, "root"),
			"--runroot", filepath.Join(dir, "run"), "--storage-driver", "vfs"}, args...)...)
	}
	buildah("build", "--quiet", "--isolation", "chroot", "--tag", "nobodd", ".")
	user := buildah("inspect", "--type", "image", "--format", "{{.OCIv1.Config.User}}", "localhost/nobodd")
	if strings.TrimSpace(user) != "65534:65534" {
		t.Errorf("it runs as %q", user)
	}
	container := strings.TrimSpace(buildah("from", "--pull-never", "localhost/nobodd"))
	root := strings.TrimSpace(buildah("mount", container))
	want := map[string]fs.FileMode{"etc/nobodd/nobodd.conf": 0o644}
	for _, c := range commands {
		if _, err := os.Stat(filepath.Join(src, "bin", c)); err == nil {
			want["usr/bin/"+c] = 0o755
		}
	}
	compare(t, found(t, root), want)

	// As nobody, with nothing but the image: what a container runtime starts.
	image := filepath.Join(root, "board.img")
	if err := testimg.Unpack("ubuntu", image); err != nil {
		t.Fatal(err)
	}
	inside := func(args ...string) string {
		return run(t, src, "chroot", append([]string{"--userspec=65534:65534", root}, args...)...)
	}
	if got := inside("/usr/bin/nobodd-tftpd", "--board", "1,/board.img", "--check"); !strings.HasPrefix(got, "00000001: /board.img:1: ") {
		t.Errorf("nobodd-tftpd --check: %s", got)
	}
	if got := inside("/usr/bin/nobodd-ls", "board.img:"); got != "board.img:1:\nboard.img:2:\n" {
		t.Errorf("nobodd-ls: %s", got)
	}
	buildah("umount", "--all") // so that the folder can be removed
}

func testDeb(t *testing.T, src string) {
	testimg.NeedPeer(t, "dpkg", "dpkg-deb", "deb-systemd-helper", "systemd-sysusers")
	if os.Getuid() != 0 {
		t.Skip("dpkg --root needs root")
	}
	t.Setenv("DPKG_DEB_COMPRESSOR_TYPE", "none") // it saves time
	run(t, src, "make", "-s", "deb")
	debs, err := filepath.Glob(filepath.Join(src, "dist/nobodd_*.deb"))
	if err != nil || len(debs) != 1 {
		t.Fatalf("packages: %v, %v", debs, err)
	}
	if got := run(t, src, "dpkg-deb", "--ctrl-tarfile", debs[0]); got == "" {
		t.Error("the package has no control files")
	}

	t.Run("Lintian", func(t *testing.T) {
		testimg.NeedPeer(t, "lintian")
		const not = "uses-no-compression-for-control-tarball,uses-no-compression-for-data-tarball" // the test's own doing
		run(t, src, "lintian", "--allow-root", "--fail-on", "error,warning", "--suppress-tags", not, debs[0])
	})

	root := t.TempDir()
	for _, dir := range []string{"var/lib/dpkg/info", "var/lib/dpkg/updates", "etc"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	write(t, filepath.Join(root, "var/lib/dpkg/status"), "")
	dpkg := func(args ...string) {
		t.Helper()
		run(t, root, "dpkg", append([]string{"--root=" + root, "--log=/dev/null", "--force-script-chrootless", "--force-depends", "--force-unsafe-io"}, args...)...)
	}

	dpkg("--install", debs[0])
	want := map[string]fs.FileMode{
		"usr/share/doc/nobodd/copyright": 0o644, "usr/share/doc/nobodd/changelog.gz": 0o644, "usr/share/lintian/overrides/nobodd": 0o644,
	}
	for name, mode := range installed("usr") {
		if strings.Contains(name, "/man/") {
			name += ".gz"
		}
		name = strings.Replace(name, "zsh/site-functions", "zsh/vendor-completions", 1) // where Debian's zsh looks
		want[name] = mode
	}
	got := found(t, root)
	for name := range got {
		if strings.HasPrefix(name, "var/lib/") || strings.HasPrefix(name, "etc/systemd/") || slices.Contains(accounts, name) {
			delete(got, name)
		}
	}
	compare(t, got, want)
	for _, user := range []string{"nobodd", "nobodd-nbd"} {
		if passwd := read(t, filepath.Join(root, "etc/passwd")); !strings.Contains("\n"+passwd, "\n"+user+":") {
			t.Errorf("no user %s in:\n%s", user, passwd)
		}
	}
	for _, link := range []string{"sockets.target.wants/nobodd-tftpd.socket", "multi-user.target.wants/nobodd-tftpd.service"} {
		if _, err := os.Lstat(filepath.Join(root, "etc/systemd/system", link)); err != nil {
			t.Errorf("unit is not enabled: %v", err)
		}
	}
	// Who reaches the NBD server writes the images: to enable it is the administrator's to do.
	const nbdkit = "etc/systemd/system/sockets.target.wants/nobodd-nbdkit.socket"
	if _, err := os.Lstat(filepath.Join(root, nbdkit)); err == nil {
		t.Error("the NBD server is enabled")
	}
	if err := os.Symlink("/lib/systemd/system/nobodd-nbdkit.socket", filepath.Join(root, nbdkit)); err != nil {
		t.Fatal(err)
	}
	run(t, root, filepath.Join(root, "usr/bin/nobodd-tftpd"), "--check", "--config", filepath.Join(root, "etc/nobodd/nobodd.conf"))

	// A changed configuration outlives an upgrade and a removal, but not a purge.
	conf := filepath.Join(root, "etc/nobodd/nobodd.conf")
	write(t, conf, "[tftp]\nincludedir = conf.d\n")
	dpkg("--install", debs[0])
	dpkg("--remove", "nobodd")
	if got := read(t, conf); got != "[tftp]\nincludedir = conf.d\n" {
		t.Errorf("the configuration is now:\n%s", got)
	}
	if _, err := os.Stat(filepath.Join(root, "usr/bin/nobodd-ls")); err == nil {
		t.Error("nobodd-ls is still there after the removal")
	}
	dpkg("--purge", "nobodd")
	for name := range found(t, root) {
		if !strings.HasPrefix(name, "var/lib/") && !slices.Contains(accounts, name) {
			t.Errorf("%s is still there after the purge", name)
		}
	}
}

// accounts is what systemd-sysusers writes.
var accounts = []string{"etc/passwd", "etc/passwd-", "etc/group", "etc/group-", "etc/shadow", "etc/shadow-",
	"etc/gshadow", "etc/gshadow-", "etc/.pwd.lock"}
