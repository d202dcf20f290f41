package rig

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
)

// parentVariable makes this test binary the parent that is to be killed.
const parentVariable = "RIG_TEST_PARENT"

// TestChildDiesWithItsParent kills a parent that has no chance to clean up, as
// happens to a test binary that runs into its time limit.
func TestChildDiesWithItsParent(t *testing.T) {
	if os.Getenv(parentVariable) != "" {
		beParent(t)
		return
	}
	parent := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestChildDiesWithItsParent$")
	parent.Env = append(os.Environ(), parentVariable+"=1")
	if _, err := parent.StdinPipe(); err != nil { // kept open: the parent waits on it
		t.Fatal(err)
	}
	stdout, err := parent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	child := strings.TrimPrefix(strings.TrimSpace(line), "child ")
	if !runs(child) {
		t.Fatalf("want a running child, got %q", line)
	}
	if err := parent.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = parent.Wait() // it was killed, which is no news
	ctx, cancel := context.WithTimeout(t.Context(), startTimeout)
	defer cancel()
	err = Poll(ctx, func(context.Context) error {
		if runs(child) {
			return fmt.Errorf("child %s still runs", child)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

func beParent(t *testing.T) {
	t.Helper()
	sleep, err := exec.LookPath("sleep")
	if err != nil {
		t.Fatal(err)
	}
	p, err := startProcess(t.Context(), t.TempDir(), sleep, "600")
	if err != nil {
		t.Fatal(err)
	}
	defer p.stop()
	fmt.Printf("child %d\n", p.pid)
	_, _ = io.Copy(io.Discard, os.Stdin) // until it is killed
}

// runs reports whether a process exists and is not a zombie.
func runs(pid string) bool {
	if _, err := strconv.Atoi(pid); err != nil {
		return false
	}
	stat, err := os.ReadFile("/proc/" + pid + "/stat")
	if err != nil {
		return false
	}
	_, state, found := strings.Cut(string(stat), ") ")
	return found && !strings.HasPrefix(state, "Z")
}
