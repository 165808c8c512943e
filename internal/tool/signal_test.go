// SPDX-License-Identifier: GPL-3.0-or-later

package tool

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"testing"

	"github.com/urfave/cli/v2"
)

// helper says which of the programs below this test binary is to be.
const helper = "NOBODD_TOOL_TEST"

func TestMain(m *testing.M) {
	app := testApp()
	switch os.Getenv(helper) {
	case "tidy":
		app.Action = func(*cli.Context) error {
			OnSignal(func() { fmt.Println("gone") })() // taken back
			OnSignal(func() { fmt.Println("tidied") })
			fmt.Println("ready")
			select {}
		}
		Main(app)
	case "serve":
		app.Action = func(c *cli.Context) error {
			fmt.Println("ready")
			<-c.Context.Done()
			var stopped *Stopped
			if !errors.As(context.Cause(c.Context), &stopped) {
				return context.Cause(c.Context)
			}
			fmt.Println("stopped by", stopped.Signal)
			return Status(7)
		}
		Serve(app)
	case "stubborn":
		app.Action = func(c *cli.Context) error {
			fmt.Println("ready")
			<-c.Context.Done()
			fmt.Println("ready")
			select {}
		}
		Serve(app)
	}
	os.Exit(m.Run())
}

// TestSignals sends each program a signal whenever it says that it is ready.
func TestSignals(t *testing.T) {
	// Under nohup(1) HUP is ignored, which children inherit; of a signal that is caught they get the default.
	caught := make(chan os.Signal, 1)
	signal.Notify(caught, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	defer signal.Stop(caught)
	for _, tt := range []struct {
		program string
		signal  syscall.Signal
		out     string
		end     string
	}{
		{"tidy", syscall.SIGINT, "tidied\n", "signal: interrupt"},
		{"tidy", syscall.SIGTERM, "tidied\n", "signal: terminated"},
		{"tidy", syscall.SIGHUP, "tidied\n", "signal: hangup"},
		{"serve", syscall.SIGTERM, "stopped by terminated\n", "exit status 7"},
		{"serve", syscall.SIGINT, "stopped by interrupt\n", "exit status 7"},
		{"stubborn", syscall.SIGTERM, "", "signal: terminated"},
	} {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), helper+"="+tt.program)
		pipe, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		var out strings.Builder
		lines := bufio.NewReader(pipe)
		for {
			line, err := lines.ReadString('\n')
			if line == "ready\n" {
				cmd.Process.Signal(tt.signal)
				continue
			}
			out.WriteString(line)
			if err == io.EOF {
				break
			}
		}
		end := cmd.Wait()
		if out.String() != tt.out || fmt.Sprint(end) != tt.end {
			t.Errorf("%s, %v: output %q, %v; want %q, %s", tt.program, tt.signal, out.String(), end, tt.out, tt.end)
		}
	}
}
