// SPDX-License-Identifier: GPL-3.0-or-later

package nobodd

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"nobodd/internal/testimg"
)

func TestMain(m *testing.M) { testimg.Main(m) }

// TestReadme runs the README's console blocks, one after another in one directory with a
// jammy.img in it, and compares what they print.
func TestReadme(t *testing.T) {
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	bin := testimg.Commands(t)
	scripts, err := filepath.Abs("scripts")
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", bin+":"+scripts+":"+os.Getenv("PATH"))
	dir := t.TempDir()
	if err := testimg.Unpack("ubuntu", filepath.Join(dir, "jammy.img")); err != nil {
		t.Fatal(err)
	}
	sessions := consoleBlocks(string(text))
	if len(sessions) == 0 {
		t.Fatal("no console block")
	}
	for _, s := range sessions {
		cmd := exec.Command("sh", "-c", s.command)
		cmd.Dir = dir
		out, _ := cmd.CombinedOutput() // a command that fails shows it in what it prints
		if string(out) != s.output {
			t.Errorf("$ %s\nprints\n%s\nREADME.md has\n%s", s.command, out, s.output)
		}
	}
}

// session is a command and what it prints.
type session struct{ command, output string }

// consoleBlocks returns the commands of all blocks marked as console.
func consoleBlocks(text string) []session {
	var sessions []session
	inside := false
	for _, line := range strings.SplitAfter(text, "\n") {
		command, isCommand := strings.CutPrefix(line, "$ ")
		switch {
		case !inside:
			inside = line == "```console\n"
		case strings.HasPrefix(line, "```"):
			inside = false
		case isCommand:
			sessions = append(sessions, session{command: strings.TrimSuffix(command, "\n")})
		case len(sessions) > 0:
			sessions[len(sessions)-1].output += line
		}
	}
	return sessions
}
